"""W3C trace context (Trace Context, 3.2 and 4.3): a valid `traceparent` is passed on, any other replaced, with its
`tracestate`; a request without one gets one. `txn.trace` is the trace's id.

Only where the file says `trace: true`: it takes about 0.8 µs a request. One of ours says "sampled" (01), because
tracing libraries take a parent that was not sampled for a reason to be silent; they may still sample for themselves.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment

_IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
#: of a later version than 00 more may follow; ff is none
_VALID = f"^(?:00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS}(?:-.*)?)$"
_KNOWN = "{ var(txn.trace) -m found }"


def fragment(configuration: EdgeConfiguration) -> Fragment:
    if not configuration.gateway.trace:
        return NOTHING
    part = "var(txn.trace),bytes({},{})"
    trace = "".join(
        f"%[{part.format(start, length)}]" for start, length in ((0, 8), (9, 4), (14, 4), (19, 4), (24, 12))
    )
    span = "".join(f"%[{part.format(start, length)}]" for start, length in ((19, 4), (24, 12)))
    given = f"{{ req.fhdr(traceparent) -m reg {quoted(_VALID)} }} {{ req.fhdr_cnt(traceparent) eq 1 }}"
    return Fragment(
        rules=(
            "# trace",
            f"http-request set-var(txn.trace) req.fhdr(traceparent),field(2,-) if {given}",
            f"http-request del-header tracestate if !{_KNOWN}",
            "# a trace of ours is a UUID, and its last half the parent",
            f"http-request set-var(txn.trace) uuid() if !{_KNOWN}",
            f"http-request set-header traceparent 00-{trace}-{span}-01 if {{ var(txn.trace) -m len 36 }}",
            "http-request set-var(txn.trace) req.hdr(traceparent),field(2,-) if { var(txn.trace) -m len 36 }",
        )
    )
