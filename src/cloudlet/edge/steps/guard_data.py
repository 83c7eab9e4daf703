"""What guard.lua knows, as a Lua table: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cloudlet.contracts.edge import Route
from cloudlet.contracts.guard import (
    SIGN_IN,
    VERIFY,
    BasicUsers,
    Guard,
    JwtIssuer,
    VerificationKey,
    session_issuer,
)
from cloudlet.errors import InternalError
from cloudlet.stack.gateway.requirements import Require

_HEAD = "-- Written by cloudlet.\nreturn "
_NAMED = ("jwt", "basic", "oauth", "oidc")
KeyFile = Callable[[VerificationKey], str]


def data(guard: Guard, routes: Iterable[Route], key_file: KeyFile) -> str:
    """The table. Raises InternalError for a route that requires what the guard does not have."""
    guarded = [(route, route.design.require) for route in routes if route.design and route.design.require]
    for route, require in guarded:
        _require_known(guard, route, require)
    rules = list(dict.fromkeys(require for _, require in guarded))
    numbers = {require: number for number, require in enumerate(rules, 1)}
    table = {
        "jwt": {name: _issuer(issuer, key_file) for name, issuer in guard.jwt.items()},
        "oidc": {name: _session(guard, name) for name in guard.oidc},
        "basic": {name: _basic(users) for name, users in guard.basic.items()},
        "oauth": dict(guard.oauth),
        "key_header": guard.key_header.lower() if any(require.api_key for require in rules) else None,
        "roles": {role: included(guard.roles, role) for role in guard.roles},
        "policies": {
            name: {"claims": dict(policy.claims), "unless_roles": policy.unless_roles}
            for name, policy in guard.policies.items()
        },
        "ask": guard.ask,
        "ask_secret": guard.ask_secret,
        "verify": VERIFY,
        "sign_in": SIGN_IN,
        "routes": {route.label: {"number": numbers[require], **_parameters(route)} for route, require in guarded},
        "rules": [_rule(guard, require) for require in rules],
    }
    return f"{_HEAD}{lua(table)}\n"


def included(roles: Mapping[str, tuple[str, ...]], role: str) -> tuple[str, ...]:
    """Every role that this one also is, itself not among them; circles are harmless."""
    found: dict[str, None] = {}
    left = list(roles.get(role, ()))
    while left:
        other = left.pop(0)
        if other != role and other not in found:
            found[other] = None
            left += roles.get(other, ())
    return tuple(found)


def _rule(guard: Guard, require: Require) -> dict[str, Any]:
    kinds = dict.fromkeys((kind for kind, _ in require.credentials), True)
    return {
        "credentials": [_credential(guard, kind, name) for kind, name in require.credentials],
        "kinds": {**kinds, "bearer": "jwt" in kinds or "oauth" in kinds},
        "optional": require.optional,
        "roles": require.roles or None,
        "scopes": require.scopes,
        "scope_text": " ".join(require.scopes),
        "policies": require.policies,
        "sign_in": require.oidc[0] if require.oidc else None,
    }


def _credential(guard: Guard, kind: str, name: str) -> dict[str, str]:
    shown = {"basic": guard.basic[name].realm if kind == "basic" else "", "api_key": guard.key_header}
    return {"kind": kind, "name": name, "realm": shown.get(kind, name).replace("\\", "").replace('"', "")}


def _parameters(route: Route) -> dict[str, Any]:
    """Which segment of the path each parameter is."""
    steps = route.path.split("/")[1:]
    places = {step[1:-1]: place for place, step in enumerate(steps, 1) if step.startswith("{") and step.endswith("}")}
    return {"parameters": places} if places else {}


def _issuer(issuer: JwtIssuer, key_file: KeyFile) -> dict[str, Any]:
    return {
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "asks": issuer.asks,
        "leeway": issuer.leeway,
        "user": issuer.user,
        "roles": issuer.roles,
        "scopes": issuer.scopes,
        "keys": [
            {
                "kid": key.kid,
                "key": key_file(key) if key.pem else key.secret,
                "algorithms": dict.fromkeys(key.algorithms, True),
            }
            for key in issuer.keys
        ],
    }


def _session(guard: Guard, name: str) -> dict[str, Any]:
    if not guard.session_key:
        raise InternalError(f"the edge was not given the key of the sessions of identity.oidc.{name}")
    key = VerificationKey(("HS256",), secret=guard.session_key)
    return _issuer(JwtIssuer(session_issuer(name), keys=(key,), leeway=0.0), lambda _: "")


def _basic(users: BasicUsers) -> dict[str, Any]:
    listed = {digest: {"user": user, "roles": " ".join(roles)} for digest, (user, roles) in users.users.items()}
    return {"salt": users.salt, "users": listed}


def _require_known(guard: Guard, route: Route, require: Require) -> None:
    known: dict[str, Iterable[str]] = {name: getattr(guard, name) for name in _NAMED}
    wanted = [*((kind, name) for kind, name in require.credentials if kind in _NAMED)]
    wanted += [("policies", name) for name in require.policies]
    if require.api_key and not guard.key_header:
        raise InternalError(f"the route {route.label} requires API keys, which the edge was not given")
    for kind, name in wanted:
        if name not in known.get(kind, guard.policies):
            raise InternalError(f"the route {route.label} requires {kind} {name}, which the edge was not given")


def lua(value: Any) -> str:
    """A Lua expression for texts, numbers, truth, lists and tables; what is None is left out of tables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = (f"[{_text(str(key))}] = {lua(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(pairs)}}}"
    return f"{{{', '.join(lua(item) for item in value)}}}"


def _text(value: str) -> str:
    """Every byte that Lua could take for its own is written by its number."""
    plain = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-./:@{}*,()=+")
    encoded = value.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03}" for byte in encoded) + '"'
