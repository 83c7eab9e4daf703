"""A configuration as files, ready to be written into a generation's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONFIGURATION = "haproxy.cfg"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files by their name within the folder: haproxy.cfg, maps, Lua and error bodies."""

    files: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.files[CONFIGURATION]


def section(title: str, *lines: str) -> str:
    """One section of haproxy.cfg: the head as it is, the body indented; empty lines are left out."""
    return "\n".join([title, *("    " + line for line in lines if line)]) + "\n"


def milliseconds(seconds: float) -> str:
    """HAProxy's time; 0 would mean "for ever", so the shortest is one millisecond."""
    return f"{max(1, round(seconds * 1000))}ms"


def quoted(text: str) -> str:
    """One word of haproxy.cfg, whatever it holds (configuration.txt, 2.2)."""
    inner = text.replace("'", r"'\''")
    return f"'{inner}'"
