"""What the edge answers by itself: maintenance, static answers, redirects.

    answer-HASH.body   a body; HAProxy reads it at its start
    answers.lua        gives the bodies that do not fit its buffers
    answers-data.lua   which those are, with status and headers

A redirect's target is put together first and then made one path where it begins with `/`: `//host` and `/\\host` are
other hosts to a browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.filling import LONGEST_PATH, TOO_LONG, filled, literal, sources
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.guard_data import lua
from cloudlet.edge.steps.refusal import refuse, title
from cloudlet.stack.fields import Model
from cloudlet.stack.gateway.targets import Maintenance, Redirect, Static
from cloudlet.stack.gateway.templates import words

#: bytes that HAProxy answers from its buffer, headers beside them
_IN_BUFFER = 12_000
_LUA, _DATA = "answers.lua", "answers-data.lua"
_JSON = "application/problem+json"
_HOST = "^[a-z0-9._:-]{1,253}$"
#: one slash, whatever the first ones were
_ONE_SLASH = r'var(txn.location),regsub("^/[/\\\\]+",/)'


class _Static(Model):
    """`content` is the file's, in base64."""

    static: Static
    content: str


class _Redirect(Model):
    redirect: Redirect
    known: Mapping[str, str]


def fragment(configuration: EdgeConfiguration) -> Fragment:
    common = configuration.gateway.maintenance
    maintenances = [
        *([Group(common, (), True, "maintenance-0")] if common else []),
        *groups(configuration, "maintenance", lambda route: route.design.maintenance if route.design else None),
    ]
    statics = groups(configuration, "static", _static)
    redirects = groups(configuration, "redirect", _redirect)
    if not (maintenances or statics or redirects):
        return NOTHING
    bodies = {_file(body): body for body in (*map(_said, maintenances), *map(_body, statics)) if body}
    large = [group for group in statics if _is_large(group)]
    return Fragment(
        rules=(
            "# answers of our own",
            *(line for group in maintenances for line in _maintain(group)),
            *(line for group in statics for line in _answer(group)),
            *(line for group in redirects for line in _lead(group)),
        ),
        process=(f"lua-load-per-thread {_LUA}",) if large else (),
        files={**bodies, **(_program(large) if large else {})},
    )


# maintenance


def _maintain(group: Group[Maintenance]) -> list[str]:
    maintenance = group.setting
    kind = maintenance.content_type if maintenance.body is not None else _JSON
    headers = {"retry-after": str(max(1, round(maintenance.retry_after))), "cache-control": "no-store"}
    return [*group.lines, _return(503, kind, _said(group), headers, group.only)]


def _said(group: Group[Maintenance]) -> str:
    if group.setting.body is not None:
        return group.setting.body
    detail = "this is being worked on; try again later"
    return json.dumps({"type": "about:blank", "title": title(503), "status": 503, "detail": detail}) + "\n"


# static


def _static(route: Route) -> _Static | None:
    static = route.design.static if route.design else None
    return _Static(static=static, content=route.content) if static else None


def _body(group: Group[_Static]) -> str:
    static = group.setting.static
    if static.body is not None:
        return static.body
    return base64.b64decode(group.setting.content).decode(errors="surrogateescape")


def _is_large(group: Group[_Static]) -> bool:
    return len(_raw(_body(group))) > _IN_BUFFER


def _answer(group: Group[_Static]) -> list[str]:
    static, body = group.setting.static, _body(group)
    if not _is_large(group):
        return [*group.lines, _return(static.status, static.content_type, body, static.headers, group.only)]
    return [
        *group.lines,
        f"http-request set-var(txn.answer) str({group.name}){group.only}",
        f"http-request use-service lua.answer{group.only}",
    ]


def _program(large: list[Group[_Static]]) -> dict[str, str]:
    described = {
        group.name: {
            "file": _file(_body(group)),
            "status": group.setting.static.status,
            "headers": {"content-type": group.setting.static.content_type, **group.setting.static.headers},
        }
        for group in large
    }
    return {
        _LUA: files("cloudlet.edge").joinpath(_LUA).read_text(encoding="utf-8"),
        _DATA: f"return {lua(described)}\n",
    }


def _return(status: int, kind: str, body: str, headers: Mapping[str, str], only: str) -> str:
    content = f" content-type {quoted(kind)} file {_file(body)}" if body else ""
    named = "".join(f" hdr {name} {quoted(literal(value))}" for name, value in headers.items())
    return f"http-request return status {status}{content}{named}{only}"


def _file(body: str) -> str:
    return f"answer-{hashlib.sha256(_raw(body)).hexdigest()[:16]}.body"


def _raw(body: str) -> bytes:
    return body.encode(errors="surrogateescape")


# redirects


def _redirect(route: Route) -> _Redirect | None:
    redirect = route.design.redirect if route.design else None
    if redirect is None:
        return None
    own = {"path": "path", "host": "var(txn.host)", "query": "query"}
    used = words(redirect.to)
    return _Redirect(
        redirect=redirect, known={name: text for name, text in {**sources(route.path), **own}.items() if name in used}
    )


def _lead(group: Group[_Redirect]) -> list[str]:
    redirect, known = group.setting.redirect, group.setting.known
    parameters = set(known) - {"path", "host", "query"}
    too_long = f"the path is longer than the {LONGEST_PATH} bytes that this route can lead on"
    strange = "the host is none"
    to = redirect.to.replace("?{query}", "{query}")
    if to != redirect.to:
        known = {**known, "query": "var(txn.question)"}
    is_path = "://" not in redirect.to
    return [
        *group.lines,
        *(refuse(414, "path-length", too_long, f"{group.gate}{TOO_LONG}") if parameters else ()),
        *(refuse(400, "host", strange, f"{group.gate}!{{ var(txn.host) -m reg {_HOST} }}") if "host" in known else ()),
        *(
            [f"http-request set-var-fmt(txn.question) ?%[query] if {group.gate}{{ query -m len gt 0 }}"]
            if to != redirect.to
            else ()
        ),
        f"http-request set-var-fmt(txn.location) {quoted(filled(to, known))}{group.only}",
        *([f"http-request set-var(txn.location) {quoted(_ONE_SLASH)}{group.only}"] if is_path else ()),
        f"http-request return status {redirect.status} hdr location %[var(txn.location)]{group.only}",
    ]
