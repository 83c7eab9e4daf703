"""wrk: as many requests as fit, over a fixed number of kept connections (a closed loop, so its percentiles are those
of a saturated proxy, and comparable only between proxies)."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it; times in seconds. `failed` counts socket errors and answers other than 2xx and 3xx."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def program() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("the load comes from wrk, which is not on PATH: install the system package wrk")
    return found


def run(url: str, *, core: int, seconds: float, connections: int, script: Path | None = None) -> Load:
    """One thread on that core, for whole seconds; `script` is Lua that says what is sent. Raises RuntimeError when wrk
    does not say how it went."""
    command = [
        "taskset",
        "-c",
        str(core),
        program(),
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--latency",
        *(["-s", str(script)] if script else []),
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed on {url}: {done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(text: str) -> Load:
    total = _search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    return Load(
        requests=int(total[1]),
        seconds=float(total[2]) * _UNITS[total[3]],
        p50=_percentile("50", text),
        p99=_percentile("99", text),
        failed=_failed(text),
    )


def _percentile(which: str, text: str) -> float:
    found = _search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)$", text)
    return float(found[1]) * _UNITS[found[2]]


def _failed(text: str) -> int:
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return (int(other[1]) if other else 0) + (sum(map(int, broken.groups())) if broken else 0)


def _search(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk printed nothing like {pattern!r}: {text}")
    return found
