"""The circuit breaker of a backend, kept by HAProxy alone: it reacts at once, and while cloudlet is dead.

Its table has the backend's name and integer keys:

    0          the state: gpt0 when an open one is tried again (tenths of a second since `_EPOCH`; 0: closed), gpt1 how
               often it was closed; gpc0 how often it was opened, gpc1 trials; conn_cur the trial under way
    1, 2, …    the counts since it was closed so often: gpc0 requests begun, gpc1 answers, gpc2 failed ones among them,
               gpc3 ended otherwise (the client went, the queue was full); gpc_rate the same of the last `over`;
               conn_cur those under way

A key for each closing, because no rule can forget a rate; and 0 is added to gpc2 for a good answer, so that the
periods of both rates begin at once and their quotient means something. An answer counts as failed when the service says
5xx, when HAProxy answers 502 or 504 for it, and 503 for a connection that it lost. Requests on which HAProxy hangs up
run no rule at their end (decision 4): what has begun and neither ended nor is under way was lost so. They are counted
by the next request: it reads `begun` first and the ends last, so that one that ends meanwhile never looks lost.

`policy/breaker.py` is its twin; the tests hold one against the other.
"""

from __future__ import annotations

import math

from cloudlet.contracts.edge import Backend
from cloudlet.edge.rendered import milliseconds
from cloudlet.edge.steps.counters import BREAKER
from cloudlet.edge.steps.refusal import REFUSED, answer
from cloudlet.stack.service import Breaker

#: a state's times count from here, in tenths of a second: a tag holds 32 bits, enough until 2037
EPOCH = 17_000_000_000
_NOW = f"date(0,ms),div(100),sub({EPOCH})"
#: how long the state of a service is kept that nobody asks for
_KEPT = "1d"
_OPENED = "{ var(txn.brk_until) -m int gt 0 }"
_CLOSED = f"!{_OPENED}"
_TRIAL, _COUNTED = "{ var(txn.brk_trial) -m found }", "{ var(txn.brk_counted) -m found }"
_GOOD, _FAILED = "{ var(txn.brk_end) -m int 1 }", "{ var(txn.brk_end) -m int 2 }"


def breaker_table(backend: Backend) -> list[str]:
    if backend.breaker is None:
        return []
    kept = f"gpt(2),gpc(4),gpc_rate(4,{milliseconds(backend.breaker.over)}),conn_cur"
    return [f"stick-table type integer size 100 expire {_KEPT} store {kept}"]


def breaker_lines(backend: Backend) -> list[str]:
    """The rules of a request, and those of its end."""
    if backend.breaker is None:
        return []
    again = max(1, math.ceil(backend.breaker.open_for * 10))
    return [
        "# circuit breaker: open, half-open, closed",
        *_look(backend.name),
        *_try(again),
        *_judge(backend.name, backend.breaker, again),
        _refuse(backend.name),
        *_begin(),
        *_end(),
        *_conclude(again),
    ]


def _look(name: str) -> list[str]:
    return [
        f"http-request set-var(txn.brk_until) int(0),table_gpt(0,{name})",
        f"http-request set-var(txn.brk_now) {_NOW}",
        f"http-request set-var(txn.refused) str(breaker) if {_OPENED} {{ var(txn.brk_until),sub(txn.brk_now) gt 0 }}",
    ]


def _try(again: int) -> list[str]:
    """Half-open: who finds nobody else trying is the trial. It opens the breaker anew before it goes, and closes it
    when it succeeds, so that one that is lost without a word has failed."""
    half_open = f"if {_OPENED} !{REFUSED}"
    return [
        f"http-request track-sc{BREAKER} int(0) {half_open}",
        f"http-request set-var(txn.refused) str(breaker) {half_open} {{ sc_conn_cur({BREAKER}) gt 1 }}",
        f"http-request set-var(txn.brk_trial) bool(true) {half_open}",
        f"http-request sc-set-gpt(0,{BREAKER}) var(txn.brk_now),add({again}) if {_TRIAL}",
        f"http-request sc-inc-gpc(1,{BREAKER}) if {_TRIAL}",
    ]


def _judge(name: str, breaker: Breaker, again: int) -> list[str]:
    """Closed: have too many failed? In whole numbers, so shares are of ten thousand."""
    opens = f"if {_CLOSED} {REFUSED}"
    return [
        f"http-request set-var(txn.brk_key) int(0),table_gpt(1,{name}),add(1) if {_CLOSED}",
        f"http-request set-var(txn.brk_answers) var(txn.brk_key),table_gpc_rate(1,{name}) if {_CLOSED}",
        f"http-request set-var(txn.brk_most) var(txn.brk_answers),mul({round(breaker.errors * 10_000)}) if {_CLOSED}",
        f"http-request set-var(txn.refused) str(breaker) if {_CLOSED}"
        f" {{ var(txn.brk_answers) -m int ge {breaker.at_least} }}"
        f" {{ var(txn.brk_key),table_gpc_rate(2,{name}),mul(10000),sub(txn.brk_most) ge 0 }}",
        f"http-request track-sc{BREAKER} int(0) {opens}",
        f"http-request sc-inc-gpc(0,{BREAKER}) {opens}",
        f"http-request set-var(txn.brk_until) var(txn.brk_now),add({again}) {opens}",
        f"http-request sc-set-gpt(0,{BREAKER}) var(txn.brk_until) if {REFUSED} {{ sc_tracked({BREAKER}) }}"
        " { var(txn.brk_key) -m found }",
    ]


def _refuse(name: str) -> str:
    left = "%[var(txn.brk_until),sub(txn.brk_now),add(9),div(10)]"
    detail = f"the service {name} fails too often and is not asked for a while; try again later"
    return answer(503, detail, headers=(("retry-after", left),))


def _begin() -> list[str]:
    """Count it, and those before it that ended without a word."""
    counted = f"if !{_TRIAL}"
    lost = f"if {_COUNTED} {{ var(txn.brk_lost) -m int gt 0 }}"
    return [
        f"http-request track-sc{BREAKER} var(txn.brk_key) {counted}",
        f"http-request set-var(txn.brk_counted) bool(true) {counted}",
        f"http-request sc-inc-gpc(0,{BREAKER}) {counted}",
        f"http-request set-var(txn.brk_begun) sc_get_gpc(0,{BREAKER}) {counted}",
        f"http-request set-var(txn.brk_current) sc_conn_cur({BREAKER}) {counted}",
        f"http-request set-var(txn.brk_other) sc_get_gpc(3,{BREAKER}) {counted}",
        f"http-request set-var(txn.brk_answers) sc_get_gpc(1,{BREAKER}) {counted}",
        "http-request set-var(txn.brk_lost)"
        f" var(txn.brk_begun),sub(txn.brk_current),sub(txn.brk_other),sub(txn.brk_answers) {counted}",
        f"http-request sc-add-gpc(1,{BREAKER}) var(txn.brk_lost) {lost}",
        f"http-request sc-add-gpc(2,{BREAKER}) var(txn.brk_lost) {lost}",
    ]


def _end() -> list[str]:
    """1 is good, 2 failed, 3 neither: HAProxy's own word on what is not the service's fault."""
    served = "{ var(txn.brk_served) -m found }"
    return [
        "http-response set-var(txn.brk_served) bool(true)",
        "http-after-response set-var(txn.brk_end) int(3)",
        f"http-after-response set-var(txn.brk_end) int(1) if {served} {{ status lt 500 }}",
        f"http-after-response set-var(txn.brk_end) int(2) if {served} {{ status ge 500 }}",
        f"http-after-response set-var(txn.brk_end) int(2) if !{served} {{ status 502 504 }}",
        f"http-after-response set-var(txn.brk_end) int(2) if !{served} {{ status 503 }} {{ srv_id -m found }}",
    ]


def _conclude(again: int) -> list[str]:
    answered = f"if {_COUNTED}"
    return [
        f"http-after-response sc-inc-gpc(1,{BREAKER}) {answered} {_GOOD} || {_COUNTED} {_FAILED}",
        f"http-after-response sc-inc-gpc(2,{BREAKER}) {answered} {_FAILED}",
        f"http-after-response sc-add-gpc(2,{BREAKER}) 0 {answered} {_GOOD}",
        f"http-after-response sc-inc-gpc(3,{BREAKER}) {answered} !{_GOOD} !{_FAILED}",
        "http-after-response unset-var(txn.brk_counted)",
        f"http-after-response sc-set-gpt(1,{BREAKER}) sc_get_gpt(1,{BREAKER}),add(1) if {_TRIAL} {_GOOD}",
        f"http-after-response sc-set-gpt(0,{BREAKER}) 0 if {_TRIAL} {_GOOD}",
        f"http-after-response sc-set-gpt(0,{BREAKER}) {_NOW},add({again}) if {_TRIAL} {_FAILED}",
        "http-after-response unset-var(txn.brk_trial)",
    ]
