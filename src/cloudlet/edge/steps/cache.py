"""Answers kept at the edge: HAProxy's own cache, with rules around it so that nothing private gets in.

Its key is host, path and query; it stores answers of 200 to GET that have a validator or say how long they are fresh,
at most as long as the route says, and no other `Vary` than Accept-Encoding and Referer (cache.c). It would also keep
answers that set cookies, and take the last of contradicting directives for true. So here: nothing that sets a cookie or
says `private`, `no-store` or `no-cache` is stored, and requests with Cookie or Authorization neither fill the cache nor
are answered from it; a successful POST, PUT or DELETE takes the answer to the same URL out.

An answer that says nothing at all about caching is what routes with `cache` are for: it counts as fresh for the route's
time. HAProxy has to read that in the answer; `_OURS` marks it, to be taken out again before a client sees it.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import section
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.stack.fields import Model

#: of one cache, in memory; its parts are used when they are filled
_MEGABYTES = 32
_LARGEST = 1024 * 1024
_OURS = "cloudlet-kept"
_KEPT = "{ var(txn.cache) -m found }"
_SAFE = "{ method GET HEAD }"


class _Wanted(Model):
    """Routes of one URL that differ by header share no cache: the key is the URL alone."""

    fresh: int
    cookies: bool
    alone: str


def fragment(configuration: EdgeConfiguration) -> Fragment:
    found = groups(configuration, "cache", _wanted)
    if not found:
        return NOTHING
    return Fragment(
        rules=("# cache", *(line for group in found for line in _rules(group))),
        answers=(
            *(line for group in found for line in _answers(group)),
            f"http-after-response del-header cache-control if {{ res.hdr(cache-control) -m sub {_OURS} }}",
            *_log(configuration.log_sample),
        ),
        sections=tuple(_section(group) for group in found),
    )


def _wanted(route: Route) -> _Wanted | None:
    if route.design is None or route.design.cache is None:
        return None
    cache = route.design.cache
    alone = route.label if route.design.match.headers else ""
    return _Wanted(fresh=round(cache.fresh), cookies=cache.cookies, alone=alone)


def _rules(group: Group[_Wanted]) -> list[str]:
    """A changing method passes here for the sake of the key alone: what it succeeds with is taken out."""
    cookie = "" if group.setting.cookies else " !{ req.hdr(cookie) -m found }"
    return [
        *group.lines,
        f"http-request set-var(txn.cache) bool(true) if {group.gate}{_SAFE}"
        f" !{{ req.hdr(authorization) -m found }}{cookie}",
        f"http-request cache-use cloudlet-{group.name} if {group.gate}{_KEPT} || {group.gate}!{_SAFE}",
    ]


def _answers(group: Group[_Wanted]) -> list[str]:
    fresh = f"s-maxage={group.setting.fresh}, {_OURS}"
    silent = "!{ res.hdr(cache-control) -m found } !{ res.hdr(expires) -m found } !{ res.hdr(pragma) -m found }"
    shared = "!{ res.hdr(set-cookie) -m found } !{ res.hdr(cache-control) -m sub -i private no-store no-cache }"
    store = f"http-response cache-store cloudlet-{group.name} if {group.gate}"
    return [
        f'http-response set-header cache-control "{fresh}" if {group.gate}{_KEPT} {{ status 200 }} {silent}',
        f"{store}{_KEPT} {shared} || {group.gate}!{_SAFE}",
    ]


def _log(share: float) -> tuple[str, ...]:
    """A hit may have passed a backend that is silent because another line is written behind it (the door's)."""
    hit = "if { res.cache_hit }"
    if share >= 1:
        return (f"http-after-response set-log-level info {hit}",)
    sampled = f"http-after-response set-log-level info {hit} {{ rand(1000000) lt {round(share * 1_000_000)} }}"
    return (f"http-after-response set-log-level silent {hit}", *((sampled,) if share else ()))


def _section(group: Group[_Wanted]) -> str:
    return section(
        f"cache cloudlet-{group.name}",
        f"total-max-size {_MEGABYTES}",
        f"max-object-size {_LARGEST}",
        f"max-age {group.setting.fresh}",
        "process-vary on",
    )
