"""Patterns of common attacks: `txn.suspect` is the name of the first rule that is found (protect_rules.toml).

    protect-N-url.map    pattern → rule, for path and query; -head.map and -body.map likewise

Text is searched as a service would have it: percent-decoded, and once more when that leaves an escape (a proxy or
framework may decode twice). A stray `%` is a letter, because a decoder that gives up on it would hide the rest. Most
requests hold no character that any pattern needs, so one look at the letters comes before all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.protect_rules import REPEATED, UNDECODABLE, protect_rules
from cloudlet.edge.render_request import DOOR
from cloudlet.edge.render_routes import map_text
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.edge.steps.refusal import answer
from cloudlet.stack.gateway.accepting import Protect

_PLACES = ("url", "head", "body")
#: letters that attacks can't do without, in what comes as a URL, a header, a body
_ODD_URL = r"[^A-Za-z0-9/._=&,?~:@-]|\.\.|/\.|/etc/|/proc/|:/|169\.254|\.(?:ini|config|internal)"
_ODD_HEAD = r"[<>'\"`{}%\\|]|\(\)"
_STRAY = 'regsub("%(?![0-9A-Fa-f]{2})",%25,g)'
_JSON = r'regsub("\\\\u00(?=[0-9A-Fa-f]{2})",%,g)'
_HEADERS = ("user-agent", "referer", "cookie")
_SUSPECT = "{ var(txn.suspect) -m found }"
#: for the first of a body to come
_PATIENCE = "10s"


def fragment(configuration: EdgeConfiguration) -> Fragment:
    def of(route: Route) -> Protect | None:
        protect = (route.design.protect if route.design else None) or configuration.gateway.protect
        return protect if protect is not None and protect.injections != "off" else None

    found = groups(configuration, "protect", of)
    if not found:
        return NOTHING
    return Fragment(
        rules=(
            "# patterns of attacks",
            *(line for group in found for line in _look(group)),
            *(line for group in found if group.setting.injections == "block" for line in _block(group)),
            answer(403, "the request looks like an attack"),
        ),
        answers=(f"http-after-response set-log-level err if {_SUSPECT} !{{ be_name -m beg {DOOR} }}",),
        files={
            f"{group.name}-{place}.map": map_text(_patterns(group.setting, place))
            for group in found
            for place in _PLACES
        },
    )


def _patterns(protect: Protect, place: str) -> dict[str, str]:
    rules = (rule for rule in protect_rules() if place in rule.places and rule.name not in protect.except_rules)
    return {rule.pattern: rule.name for rule in rules}


def _look(group: Group[Protect]) -> list[str]:
    counts = UNDECODABLE not in group.setting.except_rules
    return [
        *group.lines,
        *_search(group, "url", "pathq", f"{{ pathq -m reg {quoted(_ODD_URL)} }}", counts),
        *(
            line
            for name in _HEADERS
            for line in _search(
                group, "head", f"req.fhdr({name})", f"{{ req.fhdr({name}) -m reg {quoted(_ODD_HEAD)} }}", counts
            )
        ),
        *(
            f"http-request set-var(txn.suspect) str({REPEATED}) if {group.gate}{{ req.fhdr_cnt({name}) gt 1 }}"
            for name in _HEADERS
            if REPEATED not in group.setting.except_rules
        ),
        *(_body(group, counts) if group.setting.body else ()),
    ]


def _body(group: Group[Protect], counts: bool) -> Iterable[str]:
    yield f"http-request wait-for-body time {_PATIENCE}{group.only}"
    yield from _search(group, "body", f"req.body,{_JSON}", "{ req.body_len gt 0 }", counts, form=True)


def _search(group: Group[Protect], place: str, source: str, odd: str, counts: bool, *, form: bool = False) -> list[str]:
    """`form`: `+` is a blank everywhere, not only behind a `?`."""
    decode = f"{_STRAY},url_dec({int(form)})"
    table = f"{group.name}-{place}.map"
    probe, more = "{ var(txn.probe) -m found }", "{ var(txn.probe) -m reg '%[0-9A-Fa-f]{2}' }"
    unsure = [f"http-request set-var(txn.suspect) str({UNDECODABLE}) if {group.gate}{odd} !{probe} !{_SUSPECT}"]
    return [
        f"http-request set-var(txn.probe) {quoted(f'{source},{decode}')} if {group.gate}{odd} !{_SUSPECT}",
        *(unsure if counts else []),
        f"http-request set-var(txn.suspect) var(txn.probe),map_reg({table}) if {probe}",
        f"http-request set-var(txn.probe) {quoted(f'var(txn.probe),{decode}')} if {more} !{_SUSPECT}",
        f"http-request set-var(txn.suspect) var(txn.probe),map_reg({table}) if {probe} !{_SUSPECT}",
        f"http-request unset-var(txn.probe) if {probe}",
    ]


def _block(group: Group[Protect]) -> list[str]:
    return [f"http-request set-var-fmt(txn.refused) injection:%[var(txn.suspect)] if {group.gate}{_SUSPECT}"]
