"""Another path or query for the service. `txn.path` stays what the client asked for.

Of the query, only the parameters that are named change, in whichever way they are written; the others stay as they came
and in their order. What is set is put at the end, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.filling import LONGEST_PATH, TOO_LONG, filled, sources
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.query_words import parameter
from cloudlet.edge.steps.refusal import refuse
from cloudlet.stack.fields import Model
from cloudlet.stack.gateway.shaping import QueryChanges, Rewrite
from cloudlet.stack.gateway.templates import words

_KEPT = "{ var(txn.kept) -m len gt 0 }"
#: as they stand in a path (RFC 3986, 3.3)
_OF_PATH = "/~!&()+,;=:@$'*%"


class _Wanted(Model):
    """`known` is what the words it uses are taken from."""

    rewrite: Rewrite
    known: Mapping[str, str]


def fragment(configuration: EdgeConfiguration) -> Fragment:
    found = groups(configuration, "rewrite", _wanted)
    if not found:
        return NOTHING
    return Fragment(rules=("# rewrite", *(line for group in found for line in _rules(group))))


def _wanted(route: Route) -> _Wanted | None:
    rewrite = route.design.rewrite if route.design else None
    if rewrite is None:
        return None
    used = {word for text in (rewrite.path or "", *rewrite.query.set.values()) for word in words(text)}
    return _Wanted(rewrite=rewrite, known={name: text for name, text in sources(route.path).items() if name in used})


def _rules(group: Group[_Wanted]) -> list[str]:
    rewrite, known = group.setting.rewrite, group.setting.known
    detail = f"the path is longer than the {LONGEST_PATH} bytes that this route can rewrite"
    return [
        *group.lines,
        *(refuse(414, "path-length", detail, f"{group.gate}{TOO_LONG}") if known else ()),
        *(_query(group.only, rewrite.query, known) if rewrite.query != QueryChanges() else ()),
        *([f"http-request set-path {quoted(_path(rewrite.path, known))}{group.only}"] if rewrite.path else ()),
    ]


def _path(template: str, known: Mapping[str, str]) -> str:
    return filled(template, known, lambda text: quote(text, safe=_OF_PATH))


def _query(only: str, changes: QueryChanges, known: Mapping[str, str]) -> list[str]:
    """An empty query has no `?` either."""
    gone = dict.fromkeys((*changes.remove, *changes.set))
    taken = "".join(f',regsub("{parameter(name).replace(chr(92), chr(92) * 2)}",,g)' for name in gone)
    added = "&".join(
        f"{_encoded(name).replace('%', '%%')}={filled(value, known, _encoded)}" for name, value in changes.set.items()
    )
    either = only or " if TRUE"
    kept = f"http-request set-var(txn.kept) {quoted(f'query{taken},ltrim(&)')}{only}"
    if added:
        return [
            kept,
            f"http-request set-query {quoted(f'%[var(txn.kept)]&{added}')}{either} {_KEPT}",
            f"http-request set-query {quoted(added)}{either} !{_KEPT}",
        ]
    return [
        kept,
        f"http-request set-query %[var(txn.kept)]{either} {_KEPT}",
        f"http-request set-pathq %[path]{either} {{ query -m found }} !{_KEPT}",
    ]


def _encoded(text: str) -> str:
    return quote(text, safe="")
