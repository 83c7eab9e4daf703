"""What the edge needs to know to say who is there and what they may: resolved, so no secret is a name any more.

What the edge can't check itself, it asks of cloudlet's gateway service (`cloudlet-gateway`): opaque tokens, EdDSA, and
tokens signed by a key that it does not know (yet).

    POST /.cloudlet/verify, header Authorization: Bearer ASK_SECRET (internal listeners strip `Cloudlet-…`)
    {"kind": "jwt" | "oauth", "name": NAME, "token": TOKEN}
    → 200 {"active": true, "user": …, "roles": […], "scopes": […], "claims": {…}, "expires": UNIX}
    → 200 {"active": false, "because": REASON}; any other status: it could not be found out (503 for the client)

A browser's session is a JWT in the cookie `session_cookie(NAME)`, signed by HS256 with `session_key` as it is written:
`iss` is `session_issuer(NAME)`, `sub` the user, `roles` a list, `exp` its end; the other claims go to the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from cloudlet.stack.identity import Jwt

#: where the gateway service answers the edge's questions, and where it signs browsers in: SIGN_IN/NAME?to=PATH
VERIFY, SIGN_IN = "/.cloudlet/verify", "/.cloudlet/signin"


def session_cookie(name: str, *, https: bool) -> str:
    """`__Host-` binds a cookie to https and to just this host (RFC 6265bis, 4.1.3.2); browsers refuse it by http."""
    return f"{'__Host-' if https else ''}cloudlet-{name}"


def session_issuer(name: str) -> str:
    return f"cloudlet:{name}"


def token_issuer(name: str, jwt: Jwt) -> str | None:
    """What `iss` must be. Tokens that cloudlet issues always say one, as one key signs those of every name."""
    return jwt.issuer or (f"cloudlet:{name}" if jwt.issue else None)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key (`pem`) or a secret of HS256 to HS512. `algorithms` are those it may be used with, by its kind and
    by what the file allows; `kid` None counts for any `kid`."""

    algorithms: tuple[str, ...]
    kid: str | None = None
    pem: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class JwtIssuer:
    """`asks` is whether a token whose key or algorithm is not known here may still be good: the gateway service says.
    `user`, `roles` and `scopes` name claims, dotted for what lies deeper. `leeway` in seconds."""

    issuer: str | None = None
    audience: str | None = None
    keys: tuple[VerificationKey, ...] = ()
    asks: bool = False
    leeway: float = 30.0
    user: str = "sub"
    roles: str = "roles"
    scopes: str = "scope"


@dataclass(frozen=True, slots=True)
class BasicUsers:
    """`users` is by SHA-256, in hexadecimal, of `SALT:LIST:USER:PASSWORD`: to the user and their roles.

    Not crypt(3), bcrypt or Argon2: each check would stop one of HAProxy's threads, and everybody on it, for
    milliseconds on purpose, for any password that a stranger makes up. The passwords lie in plain text among the
    stack's secrets anyhow, readable by the same users as these hashes; guessing at the door is slowed by a rate limit.
    """

    realm: str
    salt: str = field(repr=False)
    users: Mapping[str, tuple[str, tuple[str, ...]]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """A policy: every claim equals its template, or holds it; `{id}`, `{method}`, `{host}` are filled in."""

    claims: Mapping[str, str]
    unless_roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """Everything that routes' `require`, `allow` and `deny` name. Times in seconds."""

    jwt: Mapping[str, JwtIssuer] = field(default_factory=dict)
    basic: Mapping[str, BasicUsers] = field(default_factory=dict)
    #: how long an answer about an opaque token counts, by the server's name
    oauth: Mapping[str, float] = field(default_factory=dict)
    #: names of providers where browsers sign in
    oidc: tuple[str, ...] = ()
    session_key: str = field(default="", repr=False)
    #: the header that carries API keys; empty where there are none
    key_header: str = ""
    #: those that count, or counted until a moment ago
    keys: tuple[KeyRecord, ...] = ()
    #: role → the roles that it includes directly
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Condition] = field(default_factory=dict)
    #: `127.0.0.1:PORT` of cloudlet-gateway's internal listener; where it is empty nothing is asked, and refused
    ask: str = ""
    ask_secret: str = field(default="", repr=False)
    #: networks in files of addresses, by the file's path
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as the gateway service's token endpoint has it, in the private file `GatewayConfiguration.api_keys`,
    which control replaces whenever a key is issued, rotated or revoked. `hash` is the key's SHA-256 in hexadecimal;
    `expires` seconds since 1970."""

    id: str
    hash: str = field(repr=False)
    user: str = ""
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    expires: float | None = None


KEY_RECORDS = TypeAdapter(tuple[KeyRecord, ...])
