"""Two cores: what is measured runs on one, everything that drives it on the other."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of CPUs as the kernel counts them."""

    measured: int
    driving: int

    @classmethod
    def choose(cls) -> Cores:
        """The first two this process may use. Exits when there is only one: driver and measured would share it."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise SystemExit(f"a proxy and what drives it need a core each, and only {usable} may be used")
        return cls(usable[0], usable[1])


def pin(core: int) -> None:
    """This process, and all it starts from now on."""
    os.sched_setaffinity(0, {core})


def machine() -> str:
    """One line that says where the figures come from."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    release = os.uname().release
    return f"{model}, {os.cpu_count()} cores, Linux {release}, load {os.getloadavg()[0]:.2f} when it began"
