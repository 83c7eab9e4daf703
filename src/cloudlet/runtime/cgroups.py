"""Whether this machine lets cloudlet limit CPU and memory, for `cloudlet doctor`."""

from __future__ import annotations

from cloudlet.runtime.keeper.cgroup import find


def supported() -> tuple[bool, str]:
    """Whether limits hold here, and in a sentence how or why not."""
    hierarchies, reason = find()
    if reason:
        return False, f"{reason}; instances run without their limits (run as root, or in a delegated group)"
    ways = ", ".join(f"{' and '.join(one.controllers)} by version {one.version} in {one.parent}" for one in hierarchies)
    return True, f"control groups: {ways}"
