"""What the edge needs to know to say who is there and what they may: resolved, so no secret is a name any more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """Everything that routes' `require` names."""
