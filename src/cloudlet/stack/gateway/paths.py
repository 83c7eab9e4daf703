"""Paths as routes have them and as requests are compared with them: decoded once, slashes merged, and then `%` and
space, which a map's key can't hold, encoded again. An encoded slash is a slash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote_to_bytes

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
#: what the edge refuses, or a map's key can't hold
_NEVER = re.compile(r"[\0\t\n\r]|/\.\.?(?:/|$)")


class Kind(IntEnum):
    """The lower one wins."""

    EXACT = 0
    PARAMETERS = 1
    PREFIX = 2


@dataclass(frozen=True, slots=True)
class Pattern:
    """A route's path, as canonical segments: `/v1/{id}/*` is ("v1", None) and more. None is a parameter."""

    segments: tuple[str | None, ...]
    prefix: bool
    parameters: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        if self.prefix:
            return Kind.PREFIX
        return Kind.PARAMETERS if None in self.segments else Kind.EXACT

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which segments are parameters."""
        return tuple(segment is None for segment in self.segments)

    @property
    def key(self) -> str:
        """Its canonical text, parameters as `{}`, a prefix with its last slash."""
        text = "".join(f"/{'{}' if segment is None else segment}" for segment in self.segments)
        return f"{text}/" if self.prefix else text

    def takes(self, path: str) -> bool:
        """Whether a request's canonical path fits; a parameter takes one segment that is not empty."""
        steps = path.split("/")[1:]
        if len(steps) < len(self.segments) or (len(steps) > len(self.segments) and not self.prefix):
            return False
        pairs = zip(self.segments, steps, strict=False)
        return all(step == segment if segment is not None else step != "" for segment, step in pairs)


def pattern(path: str) -> Pattern | None:
    """A route's path. None when no request can have it: the edge refuses dot segments and null bytes, and a map's key
    can't hold the end of a line or a tab."""
    prefix = path.endswith("/*")
    segments: list[str | None] = []
    parameters: list[str] = []
    for step in path.removesuffix("/*" if prefix else "").split("/")[1:]:
        if found := _PARAMETER.fullmatch(step):
            segments.append(None)
            parameters.append(found[1])
            continue
        segments += _encoded(unquote_to_bytes(step).decode(errors="surrogateescape")).split("/")
    if prefix and segments == [""]:
        segments = []
    last = len(segments) - 1
    merged = tuple(segment for place, segment in enumerate(segments) if segment != "" or (place == last and not prefix))
    if _NEVER.search("".join(f"/{segment or ''}" for segment in merged if segment is not None)):
        return None
    return Pattern(merged, prefix, tuple(parameters))


def canonical(path: str) -> str | None:
    """A request's path as it is compared, as the edge computes it (render_request.normalise). None for one that the
    edge refuses with 400."""
    decoded = re.sub("/+", "/", unquote_to_bytes(path).decode(errors="surrogateescape"))
    broken = re.search(r"%(?![0-9A-Fa-f]{2})", path)
    if (
        re.search(r"[\0\t\n\r]", decoded)
        or re.search(r"/\.\.?(?:/|$)", decoded)
        or broken
        or not decoded.startswith("/")
    ):
        return None
    return _encoded(decoded)


def _encoded(decoded: str) -> str:
    return decoded.replace("%", "%25").replace(" ", "%20")
