"""Whole stacks for the tests of the control plane."""

from tests.faults.conftest import stack_of

__all__ = ["stack_of"]
