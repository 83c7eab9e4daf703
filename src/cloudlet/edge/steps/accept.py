"""What a request may be: headers, size, content type, and in which time it has to be there.

A body's size is known by its Content-Length. One without a length (chunked, or an HTTP/2 stream that just goes on) is
refused with 411 where a route limits it: HAProxy streams it, and no rule sees it pass. A length that lies can't get
more through: HTTP/1 ends a body at its length, and HTTP/2 resets a stream that has another (RFC 9113, 8.1.1).
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import milliseconds, quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.refusal import answer, refuse
from cloudlet.stack import units
from cloudlet.stack.fields import Model

#: what a client without a length has time for, to send the first of its body
_FIRST_BYTE = 10.0
_LENGTH = "{ req.hdr(content-length) -m found }"
_CODED = "{ req.hdr(transfer-encoding) -m found }"
#: a request with a body, in either way
_BODY = ("{ req.body_size gt 0 }", _CODED)


class _Wanted(Model):
    """What these rules need to know of a route; routes with the same share them."""

    body: int | None
    headers: tuple[str, ...]
    content_types: tuple[str, ...]
    within: float | None


def fragment(configuration: EdgeConfiguration) -> Fragment:
    found = groups(configuration, "accept", _wanted)
    if not found:
        return NOTHING
    return Fragment(rules=("# size and shape", *(line for group in found for line in _rules(group))))


def _wanted(route: Route) -> _Wanted | None:
    if route.design is None:
        return None
    accept, timeout = route.design.accept, route.design.timeout
    wanted = _Wanted(
        body=accept.body,
        headers=tuple(name.lower() for name in accept.headers),
        content_types=accept.content_types,
        within=timeout.request if timeout else None,
    )
    return wanted if wanted != _Wanted(body=None, headers=(), content_types=(), within=None) else None


def _rules(group: Group[_Wanted]) -> list[str]:
    wanted, gate = group.setting, group.gate
    return [
        *group.lines,
        *(line for name in wanted.headers for line in _header(gate, name)),
        *(_begun(gate) if wanted.body is not None or wanted.content_types else ()),
        *(_size(gate, wanted.body) if wanted.body is not None else ()),
        *(_types(gate, wanted.content_types) if wanted.content_types else ()),
        *([f"http-request wait-for-body time {milliseconds(wanted.within)}{group.only}"] if wanted.within else ()),
    ]


def _header(gate: str, name: str) -> list[str]:
    detail = f"the request lacks the header {name}"
    return refuse(400, f"header:{name}", detail, f"{gate}!{{ {quoted(f'req.fhdr({name})')} -m len gt 0 }}")


def _begun(gate: str) -> list[str]:
    """Whether there is a body at all is not known of an HTTP/2 stream without a length before its first byte; a
    request that ended with its headers does not wait."""
    return [f"http-request wait-for-body time {milliseconds(_FIRST_BYTE)} at-least 1 if {gate}!{_LENGTH} !{_CODED}"]


def _size(gate: str, most: int) -> list[str]:
    shown = f"{units.format_size(most)} ({most} bytes)"
    detail = f"the body is larger than the {shown} that the route takes"
    unknown = f"the route takes a body of at most {shown}, and this one does not tell its length: send Content-Length"
    return [
        *refuse(413, "size", detail, f"{gate}{{ req.body_size gt {most} }}"),
        *refuse(411, "length", unknown, f"{gate}!{_LENGTH} {_BODY[0]} || {gate}{_CODED}"),
    ]


def _types(gate: str, types: tuple[str, ...]) -> list[str]:
    """Only a body has a type (RFC 9110, 8.3); two of them are none."""
    media = quoted("req.fhdr(content-type),field(1,;),rtrim(' \t')")
    listed = [value.lower() for value in types]
    exact, families = [t for t in listed if not t.endswith("/*")], [t[:-1] for t in listed if t.endswith("/*")]
    other = " ".join(
        f"!{{ {media} -m {how} -i {' '.join(map(quoted, some))} }}"
        for how, some in (("str", exact), ("beg", families))
        if some
    )
    wrong = (other, "{ req.fhdr_cnt(content-type) gt 1 }")
    return [
        *(
            f"http-request set-var(txn.refused) str(type) if {gate}{body} {condition}"
            for body in _BODY
            for condition in wrong
        ),
        answer(415, f"a body here is {' or '.join(listed)}"),
    ]
