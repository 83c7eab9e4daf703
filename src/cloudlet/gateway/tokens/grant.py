"""What a request for a token says (RFC 6749, 2.3.1 and 4.4), and how one is refused (5.2). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

_FORM = "application/x-www-form-urlencoded"
#: RFC 6749, 3.3
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


class GrantError(Exception):
    """`code` is a word of RFC 6749, 5.2."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code, self.description, self.status = code, description, status


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks, and for which scopes; None: for all that it has."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] | None = None


def read(content_type: str, body: bytes, authorization: str) -> Grant:
    """Raises GrantError."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise GrantError("invalid_request", f"the body must be {_FORM}")
    form = _fields(body)
    kind = form.get("grant_type", "")
    if not kind:
        raise GrantError("invalid_request", "grant_type is missing")
    if kind != "client_credentials":
        raise GrantError("unsupported_grant_type", "only client_credentials is given here")
    client_id, client_secret = _client(form, authorization)
    wanted = form.get("scope", "")
    if wanted and not _SCOPE.fullmatch(wanted):
        raise GrantError("invalid_scope", "scope is not a list of words")
    return Grant(client_id, client_secret, tuple(wanted.split()) if wanted else None)


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=50)
    except ValueError as error:
        raise GrantError("invalid_request", "the body is not a form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise GrantError("invalid_request", "a field is there twice")
    return fields


def _client(form: dict[str, str], authorization: str) -> tuple[str, str]:
    """By header or by form, not by both."""
    posted = form.get("client_id", ""), form.get("client_secret", "")
    if not authorization:
        if not all(posted):
            raise GrantError("invalid_client", "client_id and client_secret are missing", 401)
        return posted
    if posted[1]:
        raise GrantError("invalid_request", "credentials are in the header and in the body")
    scheme, _, encoded = authorization.partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise GrantError("invalid_client", "the Authorization header is not Basic", 401) from error
    client_id, colon, client_secret = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise GrantError("invalid_client", "the Authorization header is not Basic", 401)
    if posted[0] and posted[0] != unquote_plus(client_id):
        raise GrantError("invalid_request", "client_id is another one in the header")
    return unquote_plus(client_id), unquote_plus(client_secret)


def narrowed(has: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The scopes of the token: all that the key has, or fewer. Raises GrantError for more."""
    if wanted is None:
        return tuple(has)
    more = sorted(set(wanted) - set(has))
    if more:
        raise GrantError("invalid_scope", f"this key does not have: {' '.join(more)}")
    return tuple(dict.fromkeys(wanted))
