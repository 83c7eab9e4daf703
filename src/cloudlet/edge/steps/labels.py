"""Rules for some routes only: conditions on `txn.route`, however many labels there are.

HAProxy takes 64 words a line; lines of one name are one condition, and its strings are looked up in a tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudlet.edge.rendered import quoted

_A_LINE = 40


def condition(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The lines that declare the condition `name`: the request took one of these routes."""
    parts = (labels[start : start + _A_LINE] for start in range(0, len(labels), _A_LINE))
    return tuple(f"acl {name} var(txn.route) -m str {' '.join(map(quoted, part))}" for part in parts)
