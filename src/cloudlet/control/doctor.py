"""Whether this machine has what a stack needs: `cloudlet doctor`."""

from __future__ import annotations

from cloudlet.engines.doctor import Finding
from cloudlet.engines.doctor import examine as examine_engines
from cloudlet.runtime.cgroups import supported

__all__ = ["Finding", "examine"]


def examine() -> list[Finding]:
    """Every finding, the engines' first; `ok` false means that something a stack may need is missing."""
    limits, how = supported()
    fix = "" if limits else "run as root, or in a delegated control group, if services set `resources`"
    return [*examine_engines(), Finding("limits of CPU and memory", limits, how, fix)]
