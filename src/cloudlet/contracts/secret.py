"""Passwords and keys as the parts hand them on: never shown by accident, revealed on purpose."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol, final

#: cloudlet's own account on every engine; the underscore keeps it apart from every name a file can hold
ADMINISTRATOR = "cloudlet_admin"


@final
class Secret:
    """A value that neither `repr`, `str`, formatting nor pickling gives away; only `reveal` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised; reveal it where it must be written")


@dataclass(frozen=True, slots=True)
class Credential:
    """Whom a service is on one engine."""

    user: str
    password: Secret


class Credentials(Protocol):
    """Where the parts get credentials from; `identity.secrets.Secrets` is one."""

    def credential(self, service: str, resource: str) -> Credential:
        """Of a service (or ADMINISTRATOR) on a resource; generated the first time, the same from then on."""
