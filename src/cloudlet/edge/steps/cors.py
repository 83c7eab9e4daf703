"""Cross-origin requests (the Fetch standard, 3.2): preflights answered here, before anybody is asked who they are, and
answers marked.

`txn.origin` is the request's origin when the route allows it, so that every answer can say so, also the edge's own
refusals: `mark` stands before the first step that refuses. The headers of a service are replaced: two values would be
none to a browser. `null` never matches, not even `*`: any page can have it in a sandbox.
"""

from __future__ import annotations

import re

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.refusal import answer
from cloudlet.stack.gateway.cors import ANY, Cors

_PREFLIGHT = "{ var(txn.preflight) -m found }"
_ALLOWED = "{ var(txn.origin) -m found }"
_METHOD, _HEADERS = "access-control-request-method", "access-control-request-headers"
#: the most headers that a page may ask for at once
_MOST_HEADERS = 64


def mark(configuration: EdgeConfiguration) -> Fragment:
    """Whether the origin is allowed."""
    found = _groups(configuration)
    if not found:
        return NOTHING
    rules = [line for group in found for line in _mark(group)]
    return Fragment(rules=("# cross-origin: who asks", *rules))


def fragment(configuration: EdgeConfiguration) -> Fragment:
    found = _groups(configuration)
    if not found:
        return NOTHING
    return Fragment(
        rules=(
            "# cross-origin: preflights",
            "http-request set-var(txn.preflight) bool(true) if { method OPTIONS } { req.hdr(origin) -m found }"
            f" {{ req.hdr({_METHOD}) -m found }}",
            *(line for group in found for line in _refuse(group)),
            answer(403, "the route does not allow this origin, method or header to pages of other origins"),
            *(_grant(group) for group in found),
        ),
        answers=tuple(line for group in found for line in _answers(group)),
    )


def _groups(configuration: EdgeConfiguration) -> tuple[Group[Cors], ...]:
    def of(route: Route) -> Cors | None:
        own = route.design.cors if route.design else None
        return own or configuration.gateway.cors

    return groups(configuration, "cors", of)


def _mark(group: Group[Cors]) -> list[str]:
    origin = f"{group.name}-origin"
    exact = [value for value in group.setting.origins if "*" not in value]
    patterns = [pattern(value) for value in group.setting.origins if "*" in value and value != ANY]
    one = "{ req.fhdr_cnt(origin) eq 1 }"
    if ANY in group.setting.origins:
        allowed = "!{ req.fhdr(origin) -m str null }"
        return [*group.lines, f"http-request set-var(txn.origin) req.fhdr(origin) if {group.gate}{one} {allowed}"]
    return [
        *group.lines,
        *(f"acl {origin} req.fhdr(origin) -m str {quoted(value)}" for value in exact),
        *(f"acl {origin} req.fhdr(origin) -m reg {quoted(value)}" for value in patterns),
        f"http-request set-var(txn.origin) req.fhdr(origin) if {group.gate}{origin} {one}",
    ]


def pattern(origin: str) -> str:
    """`https://*.shop.example` as a regular expression: any host below it, at any depth, and not itself."""
    scheme, _, rest = origin.partition("://*.")
    return rf"^{re.escape(scheme)}://[a-z0-9.-]{{1,200}}\.{re.escape(rest)}$"


def _refuse(group: Group[Cors]) -> list[str]:
    asked = f"{_PREFLIGHT} {group.gate}"
    methods = " ".join(group.setting.methods)
    rules = [
        f"http-request set-var(txn.refused) str(cors:origin) if {asked}!{_ALLOWED}",
        f"http-request set-var(txn.refused) str(cors:method) if {asked}!{{ req.fhdr({_METHOD}) -m str {methods} }}",
    ]
    if ANY not in group.setting.headers:
        names = "|".join(re.escape(name) for name in group.setting.headers)
        listed = quoted(f"^(?:(?:{names})?[ \\t]*(?:,[ \\t]*|$)){{0,{_MOST_HEADERS}}}$")
        rules.append(
            f"http-request set-var(txn.refused) str(cors:headers) if {asked}{{ req.fhdr({_HEADERS}) -m found }}"
            f" !{{ req.fhdr({_HEADERS}) -m reg -i {listed} }}"
        )
    return rules


def _grant(group: Group[Cors]) -> str:
    """`*` does not stand for Authorization, so that is named beside it (Fetch, 4.8)."""
    headers = ("*", "Authorization") if ANY in group.setting.headers else group.setting.headers
    granted = {
        "access-control-allow-methods": ", ".join(group.setting.methods),
        "access-control-allow-headers": ", ".join(headers),
        "access-control-max-age": str(round(group.setting.max_age)),
    }
    said = " ".join(f"hdr {name} {quoted(_literal(value))}" for name, value in granted.items() if value)
    return f"http-request return status 204 {said} if {_PREFLIGHT} {group.gate}".rstrip()


def _answers(group: Group[Cors]) -> list[str]:
    """Behind the preflight's own; a cached answer passes here too."""
    cors = group.setting
    value = "*" if ANY in cors.origins else "%[var(txn.origin)]"
    told = f"if {group.gate}{_ALLOWED}"
    expose = quoted(_literal(", ".join(cors.expose)))
    return [
        f"http-after-response del-header access-control- -m beg if {group.gate}!{_PREFLIGHT}",
        f"http-after-response set-header access-control-allow-origin {value} {told}",
        *([f"http-after-response set-header access-control-allow-credentials true {told}"] if cors.credentials else []),
        *([f"http-after-response set-header access-control-expose-headers {expose} {told}"] if cors.expose else []),
        f"http-after-response add-header vary Origin{group.only}",
    ]


def _literal(text: str) -> str:
    """Text in HAProxy's log-format."""
    return text.replace("%", "%%")
