"""Headers set, added, removed: the gateway's first, the route's after them, so that the route's win.

A template's words are variables `txn.h_WORD`, taken from the request once, without control characters: a path can hold
an encoded line end, a token any text. Answers get theirs whoever made them: a service, the cache, the edge itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.errors import InternalError
from cloudlet.stack.fields import Model
from cloudlet.stack.gateway.shaping import HeaderChanges, Headers
from cloudlet.stack.gateway.templates import pieces, words

_SOURCES = {"path": "path", "host": "var(txn.host)", "request_id": "var(txn.id)", "user": "var(txn.user)"}
_CLEAN = "regsub([[:cntrl:]],,g)"
_SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
    "content-security-policy": "frame-ancestors 'self'",
}
#: a year (hstspreload.org asks for no less); other hosts of the domain are not ours to decide about
_HSTS = "max-age=31536000"


class _Wanted(Model):
    """`places` says which segment of the path, from 1, each parameter that is filled in is."""

    headers: Headers
    places: Mapping[str, int]


def fragment(configuration: EdgeConfiguration) -> Fragment:
    common = configuration.gateway.headers
    everywhere = [Group(_Wanted(headers=common, places={}), (), True, "headers-0")] if common != Headers() else []
    found = [*everywhere, *groups(configuration, "headers", _wanted)]
    if not found:
        return NOTHING
    return Fragment(
        rules=(
            "# headers",
            *(line for group in found for line in group.lines),
            *_fill(found),
            *(line for group in found for line in _changes("http-request", group, group.setting.headers.request)),
        ),
        answers=(
            *(
                line
                for group in found
                for line in _changes("http-after-response", group, group.setting.headers.response)
            ),
            *(line for group in found if group.setting.headers.secure for line in _secure(group)),
        ),
    )


def _wanted(route: Route) -> _Wanted | None:
    if route.design is None or route.design.headers == Headers():
        return None
    headers = route.design.headers
    used = set(_words(headers))
    steps = enumerate(route.path.split("/")[1:], 1)
    return _Wanted(headers=headers, places={step[1:-1]: place for place, step in steps if step[1:-1] in used})


def _words(headers: Headers) -> Iterable[str]:
    for changes in (headers.request, headers.response):
        for value in (*changes.set.values(), *changes.add.values()):
            yield from words(value)


def _fill(found: Iterable[Group[_Wanted]]) -> list[str]:
    """The variables that any template uses; a parameter only for its routes."""
    used = dict.fromkeys(word for group in found for word in _words(group.setting.headers))
    rules = [
        f"http-request set-var(txn.h_{word}) {quoted(f'{source},{_CLEAN}')}"
        for word, source in _SOURCES.items()
        if word in used
    ]
    for group in found:
        rules += [
            f"http-request set-var(txn.h_{name}) {quoted(f'var(txn.path),field({place + 1},/),{_CLEAN}')}{group.only}"
            for name, place in group.setting.places.items()
        ]
    return rules


def _changes(action: str, group: Group[_Wanted], changes: HeaderChanges) -> list[str]:
    places = group.setting.places
    return [
        *(f"{action} del-header {quoted(name)}{group.only}" for name in changes.remove),
        *(f"{action} set-header {quoted(n)} {_format(v, places)}{group.only}" for n, v in changes.set.items()),
        *(f"{action} add-header {quoted(n)} {_format(v, places)}{group.only}" for n, v in changes.add.items()),
    ]


def _format(template: str, places: Mapping[str, int]) -> str:
    """One word of haproxy.cfg in its log-format (8.2.4), where `%` is written twice."""
    return quoted("".join(_variable(text, places) if word else _literal(text) for text, word in pieces(template)))


def _variable(word: str, places: Mapping[str, int]) -> str:
    if word == "client":
        return "%[src]"
    if word not in _SOURCES and word not in places:
        raise InternalError(f"a header is to be filled with {{{word}}}, which the route does not know")
    return f"%[var(txn.h_{word})]"


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _secure(group: Group[_Wanted]) -> list[str]:
    rules = [
        f"http-after-response set-header {name} {quoted(value)} if {group.gate}!{{ res.hdr({name}) -m found }}"
        for name, value in _SECURE.items()
    ]
    name = "strict-transport-security"
    return [
        *rules,
        f"http-after-response set-header {name} {_HSTS} if {group.gate}{{ ssl_fc }} !{{ res.hdr({name}) -m found }}",
    ]
