"""gzip, for clients that accept it and answers that are not compressed yet.

What HAProxy leaves alone (9.2 of its manual, flt_http_comp.c): other statuses than 200 to 203, `Cache-Control:
no-transform`, `Content-Encoding`, multipart, HTTP/1.0, and everything while the processor is busy to the limit. It
weakens ETags and adds `Vary: Accept-Encoding`.
"""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment

#: HAProxy takes 64 words a line
_A_LINE = 40


def fragment(configuration: EdgeConfiguration) -> Fragment:
    compression = configuration.gateway.compression
    if compression is None:
        return NOTHING
    types = compression.types
    lines = (types[start : start + _A_LINE] for start in range(0, len(types), _A_LINE))
    return Fragment(
        rules=(
            "# gzip",
            "filter compression",
            "compression algo gzip",
            *(f"compression type {' '.join(quoted(kind.removesuffix('*')) for kind in line)}" for line in lines),
        )
    )
