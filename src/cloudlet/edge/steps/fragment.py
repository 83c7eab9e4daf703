"""What one step of a request's life adds to HAProxy's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything is in HAProxy's words.

    `rules` stand in the gateway's frontend in the order of the steps, `answers` (http-response, http-after-response)
    in the reverse order, after all rules. A changed map is exchanged over the socket; a change of anything else is a
    succession. Nothing of this is there for a file that does not use the step: every rule is paid by every request.
    """

    rules: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    #: whole sections: stick tables, caches, rings, backends
    sections: tuple[str, ...] = ()
    #: lines of `global`
    process: tuple[str, ...] = ()
    #: file name → content: Lua, bodies, patterns, keys
    files: Mapping[str, str] = field(default_factory=dict)
    #: map name → entries
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: sticky counters that it uses from `counters.FIRST_LIMIT` on
    counters: int = 0


NOTHING = Fragment()
