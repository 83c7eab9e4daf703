"""The credential of one service on one resource: its own user name and a generated password.

    secrets/credential.RESOURCE.SERVICE

Names in the file hold no dots, so that no two pairs share a secret.
"""

from __future__ import annotations

import hmac


def secret_name(service: str, resource: str) -> str:
    """Under which name the password is kept among the secrets."""
    return f"credential.{resource}.{service}"


def is_own(name: str) -> bool:
    """Whether cloudlet made this secret for itself: a credential, or a key of its own."""
    return name.startswith(("credential.", "cloudlet-"))


def matches(given: str, expected: str) -> bool:
    """Whether a presented password or token is the right one, in a time that does not tell how much of it
    was."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
