"""Who is there and what they may: what routes require exists, can be checked, and can be met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as File
from urllib.parse import urlsplit

from cloudlet.stack import nodes
from cloudlet.stack.files import is_file, is_there
from cloudlet.stack.findings import Finding, dotted, suggestion
from cloudlet.stack.gateway import Gateway, Route
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.gateway.requirements import AddressList, Require
from cloudlet.stack.identity import Jwt
from cloudlet.stack.identity.trust import is_local
from cloudlet.stack.interpolate import secret_names
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

_KINDS = {"jwt": "issuer", "basic": "list of users", "oauth": "server", "oidc": "provider", "policies": "policy"}
_SHORTEST_SECRET = 32
_PARAMETER = re.compile(r"\{([^{}]*)\}")
_ALWAYS = frozenset({"method", "host"})


def required_names(design: Design) -> Iterator[Finding]:
    """`require` names what is below `identity`."""
    for place, _, require in _requirements(design):
        for kind, what in _KINDS.items():
            known = _declared(design, kind)
            for index, name in enumerate(getattr(require, kind)):
                if name not in known:
                    path: Path = (*place, kind, index)
                    message = f'{dotted(path)}: there is no {what} "{name}" below identity.{kind}'
                    yield Finding(path, message, suggestion(name, known, "there are") or f"add identity.{kind}.{name}")


def required_switches(design: Design) -> Iterator[Finding]:
    """API keys and client certificates are taken only where the file says so."""
    identity = design.tree if isinstance(design.tree, nodes.Mapping) else None
    has_keys = nodes.find(identity, ("identity", "api_keys")) is not None if identity else False
    for place, _, require in _requirements(design):
        if require.api_key and not has_keys:
            path: Path = (*place, "api_key")
            yield Finding(path, f"{dotted(path)}: the file issues no API keys", "add `identity: {api_keys: true}`")
        if require.certificate and design.stack.edge.client_certificates is None:
            path = (*place, "certificate")
            message = f"{dotted(path)}: no client certificate is ever asked for"
            yield Finding(path, message, "name their authorities in `edge.client_certificates`")


def policies_fit(design: Design) -> Iterator[Finding]:
    """A policy's parameters are in the path of every route that requires it."""
    policies = design.stack.identity.policies
    for place, route, require in _requirements(design):
        there = set(_PARAMETER.findall(route.path)) | _ALWAYS
        for index, name in enumerate(require.policies):
            claims = policies[name].claims if name in policies else {}
            asked = {found for template in claims.values() for found in _PARAMETER.findall(template)}
            missing = sorted(asked - there)
            if missing:
                path: Path = (*place, "policies", index)
                message = f'{dotted(path)}: "{name}" speaks of {{{missing[0]}}}, which "{route.path}" does not have'
                yield Finding(path, message, "write the path with that parameter, or take another policy")


def limits_by_identity(design: Design) -> Iterator[Finding]:
    """Who is counted by user or key has shown one."""
    gateway = design.stack.gateway
    open_routes = [route.path for _, route in design.routes if route.require is None]
    for index, limit in enumerate(gateway.rate_limits if gateway else ()):
        if limit.per in ("user", "key") and open_routes:
            path: Path = ("gateway", "rate_limits", index, "per")
            message = f'{dotted(path)}: the route "{open_routes[0]}" requires no credential, so nobody is known there'
            yield Finding(path, message, "move the limit to the routes that have `require`")
    for number, route in design.routes:
        for index, limit in enumerate(route.rate_limits):
            if reason := _uncountable(limit, route.require):
                path = ("gateway", "routes", number, "rate_limits", index, "per")
                yield Finding(path, f"{dotted(path)}: {reason[0]}", reason[1])


def _uncountable(limit: RateLimit, require: Require | None) -> tuple[str, str] | None:
    if limit.per in ("user", "key") and require is None:
        return "the route requires no credential, so nobody is known", "add `require`, or count `per: client`"
    if limit.per == "key" and require is not None and not require.api_key:
        return "the route takes no API keys", "add `api_key: true` to `require`, or count `per: user`"
    return None


def signatures(design: Design) -> Iterator[Finding]:
    """Algorithms are of the keys' kind: a public key that counted as a secret would be a secret that all know."""
    for name, jwt in design.stack.identity.jwt.items():
        path: Path = ("identity", "jwt", name, "algorithms")
        symmetric = [algorithm for algorithm in jwt.algorithms if algorithm.startswith("HS")]
        if jwt.secret is None and symmetric:
            message = f"{dotted(path)}: {symmetric[0]} signs by a secret, and the keys here are public"
            yield Finding(path, message, "take it out, or give `secret` instead of keys")
        if jwt.secret is not None and len(symmetric) < len(jwt.algorithms):
            message = f"{dotted(path)}: only HS256, HS384 and HS512 sign by a secret"
            yield Finding(path, message, "take the others out, or give `keys` or `jwks` instead of `secret`")
        yield from _secret(name, jwt)


def _secret(name: str, jwt: Jwt) -> Iterator[Finding]:
    """One that stands in the file is measured at once, one by name when it is read."""
    path: Path = ("identity", "jwt", name, "secret")
    if jwt.secret is not None and not secret_names(jwt.secret) and len(jwt.secret.encode()) < _SHORTEST_SECRET:
        message = f"{dotted(path)} has fewer than {_SHORTEST_SECRET} bytes"
        yield Finding(path, message, f"run `cloudlet secret set NAME --generate` and write {_example()}")


def _example() -> str:
    return "`${secret:NAME}`"


def places(design: Design) -> Iterator[Finding]:
    """Addresses of others are https, or this machine's own; files are there."""
    identity = design.stack.identity
    for name, jwt in identity.jwt.items():
        if jwt.jwks and "://" in jwt.jwks:
            yield from _address(("identity", "jwt", name, "jwks"), jwt.jwks)
        elif jwt.jwks:
            yield from _file(("identity", "jwt", name, "jwks"), File(jwt.jwks))
        for index, file in enumerate(jwt.keys):
            yield from _file(("identity", "jwt", name, "keys", index), file)
    for name, server in identity.oauth.items():
        yield from _address(("identity", "oauth", name, "introspection"), server.introspection)
    for name, provider in identity.oidc.items():
        yield from _address(("identity", "oidc", name, "issuer"), provider.issuer)
    for path, addresses in _lists(design):
        if addresses.file is not None:
            yield from _file((*path, "file"), addresses.file)


def token_clients(design: Design) -> Iterator[Finding]:
    """Who asks for a token shows an API key."""
    identity = design.stack.identity
    for name, jwt in identity.jwt.items():
        if jwt.issue is not None and identity.api_keys is None:
            path: Path = ("identity", "jwt", name, "issue")
            message = f"{dotted(path)}: clients show an API key to get a token, and the file issues none"
            yield Finding(path, message, "add `identity: {api_keys: true}`")


def lists_not_empty(design: Design) -> Iterator[Finding]:
    for path, addresses in _lists(design):
        if not addresses.addresses and addresses.file is None:
            effect = "nobody may ask" if path[-1] == "allow" else "nobody is kept out"
            yield Finding(path, f"{dotted(path)} is an empty list: {effect}", "write addresses, or take it out")


def _requirements(design: Design) -> Iterator[tuple[Path, Route, Require]]:
    for number, route in design.routes:
        if route.require is not None:
            yield ("gateway", "routes", number, "require"), route, route.require


def _lists(design: Design) -> Iterator[tuple[Path, AddressList]]:
    gateway = design.stack.gateway
    owners: list[tuple[Path, Gateway | Route]] = [(("gateway",), gateway)] if gateway else []
    owners += [(("gateway", "routes", number), route) for number, route in design.routes]
    for path, owner in owners:
        for kind in ("allow", "deny"):
            addresses = getattr(owner, kind)
            if addresses is not None:
                yield (*path, kind), addresses


def _declared(design: Design, kind: str) -> list[str]:
    """The names below `identity.KIND`, whether or not what they name fits its model."""
    found = nodes.find(design.tree, ("identity", kind))
    return list(found.entries) if isinstance(found, nodes.Mapping) else []


def _address(path: Path, address: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in ("http", "https"):
        yield Finding(path, f'{dotted(path)}: "{address}" is no address', "write https://HOST/PATH")
    elif parts.scheme == "http" and not is_local(host):
        message = f'{dotted(path)}: "{address}" could be answered by anybody on the way there'
        yield Finding(path, message, "write https; http is for this machine only")


def _file(path: Path, file: File) -> Iterator[Finding]:
    if not is_file(file):
        reason = "is no file" if is_there(file) else "is not there"
        yield Finding(path, f'{dotted(path)}: "{file}" {reason}', "name a file that is")


RULES: tuple[Rule, ...] = (
    required_names,
    required_switches,
    policies_fit,
    limits_by_identity,
    signatures,
    places,
    token_clients,
    lists_not_empty,
)
