"""Who is there and what they may: one Lua action, for the routes that require something (guard.lua).

    guard-data.lua       what each route requires, and how each credential is checked; private
    guard-key-HASH.pem   public keys, read by HAProxy at its start
    guard-keys.map       SHA-256 of an API key → `ID EXPIRY USER ROLES SCOPES`; changed over the socket

A Lua action that fails lets a request pass, so the rule behind it refuses whatever it has not said "ok" to; and what
has no label of a route that is open to all is guarded, rather than the other way round. The
headers to the service are set by rules, because Lua is not told when one did not fit; a rule then answers 500.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from importlib.resources import files

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.gateway import OWN_PATHS
from cloudlet.contracts.guard import Guard, KeyRecord, VerificationKey
from cloudlet.edge.rendered import quoted, section
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.guard_data import data
from cloudlet.edge.steps.labels import condition

_LUA = ("guard.lua", "guard-json.lua", "guard-tokens.lua")
DATA, KEYS = "guard-data.lua", "guard-keys.map"
#: a header for each variable; what clients say in them was stripped long before
_HEADERS = {"user": "x-forwarded-user", "roles": "x-forwarded-roles", "scopes": "x-forwarded-scopes"}
_CLAIMS = {"claims": "x-forwarded-claims"}


def fragment(configuration: EdgeConfiguration) -> Fragment:
    guarded = [route for route in configuration.routes if route.design is not None and route.design.require is not None]
    labels = {route.label for route in guarded}
    open_to_all = [route.label for route in configuration.routes if route.label not in labels]
    guard = configuration.guard or Guard()
    if not guarded:
        rules = _strip(guard, configuration)
        return Fragment(rules=rules) if rules else NOTHING
    kinds = {
        kind
        for route in guarded
        if route.design and route.design.require
        for kind, _ in route.design.require.credentials
    }
    pems = {key_file(key): key.pem for issuer in guard.jwt.values() for key in issuer.keys if key.pem}
    return Fragment(
        rules=(
            "# who is there and what they may",
            *condition("open-to-all", open_to_all),
            *(_look_up(guard.key_header) if "api_key" in kinds else ()),
            f"http-request lua.guard{' unless open-to-all' if open_to_all else ''}",
            "http-request return status 500 default-errorfiles"
            f" if {'!open-to-all ' if open_to_all else ''}!{{ var(txn.guard) -m str ok }}",
            *_tell(_HEADERS if kinds <= {"api_key", "basic", "certificate"} else {**_HEADERS, **_CLAIMS}),
            *_strip(guard, configuration),
        ),
        sections=(_known_keys(pems),) if pems else (),
        process=("lua-load-per-thread guard.lua", *(("httpclient.retries 1",) if guard.ask else ())),
        files={
            **{name: files("cloudlet.edge").joinpath(name).read_text(encoding="utf-8") for name in _LUA},
            **pems,
            DATA: data(guard, guarded, key_file),
        },
        maps={KEYS: _entries(guard.keys)} if "api_key" in kinds else {},
    )


def _look_up(header: str) -> tuple[str, ...]:
    """By a rule, as converters cost more when Lua calls them. Keys have some 60 letters; longer ones are not hashed."""
    found = f"req.fhdr({header}),sha2(256),hex,lower,map_str({KEYS})"
    return (f"http-request set-var(txn.guard_found) {found} if {{ req.fhdr({header}) -m len 1:256 }}",)


def _tell(headers: Mapping[str, str]) -> Iterable[str]:
    for variable, header in headers.items():
        yield f"http-request set-header {header} %[var(txn.{variable})] if {{ var(txn.{variable}) -m found }}"


def _strip(guard: Guard, configuration: EdgeConfiguration) -> tuple[str, ...]:
    """API keys and sessions reach no service, whatever its route requires; only our own (sign-out) needs sessions, and
    is told by its routes: another path below `/.cloudlet/` may be taken by a service's `/*`."""
    rules: list[str] = []
    if guard.key_header:
        rules.append(f"http-request del-header {guard.key_header} if {{ req.hdr({guard.key_header}) -m beg clk_ }}")
    if guard.oidc:
        names = f"(__Host-)?cloudlet-({'|'.join(guard.oidc)})"
        cookies = f'%[req.fhdr(cookie),regsub("(^|; *){names}=[^;]*","",g),regsub("^; *","")]'
        own = [route.label for route in configuration.routes if route.path.startswith(OWN_PATHS)]
        rules += [
            "acl session req.fhdr(cookie) -m sub cloudlet-",
            *condition("own-path", own),
            f"http-request set-header cookie {quoted(cookies)} if session{' !own-path' if own else ''}",
            "http-request del-header cookie if { req.fhdr(cookie) -m len 0 }",
        ]
    return tuple(rules)


def _entries(keys: Iterable[KeyRecord]) -> dict[str, str]:
    """Expiry in whole seconds, 0 for none; `-` for an empty list."""
    return {
        key.hash: f"{key.id} {math.floor(key.expires) if key.expires is not None else 0} {key.user}"
        f" {','.join(key.roles) or '-'} {','.join(key.scopes) or '-'}"
        for key in keys
    }


def key_file(key: VerificationKey) -> str:
    return f"guard-key-{hashlib.sha256(key.pem.encode()).hexdigest()[:16]}.pem"


def _known_keys(pems: Iterable[str]) -> str:
    """HAProxy reads a key when a rule names it; these rules are in a backend that no request reaches."""
    return section(
        "backend cloudlet-guard-keys from common",
        "mode http",
        *(f"http-request set-var(txn.guard_key) str(),jwt_verify(RS256,{name})" for name in pems),
    )
