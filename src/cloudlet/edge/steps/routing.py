"""Which route takes the request, the specific before the general: sets `txn.route` (its label) and `txn.backend`."""

from __future__ import annotations

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge import render_request as request
from cloudlet.edge.render_routes import names_hosts, route_maps
from cloudlet.edge.steps.fragment import Fragment


def fragment(configuration: EdgeConfiguration) -> Fragment:
    return Fragment(
        rules=tuple(request.route(hosts=names_hosts(configuration.routes))),
        maps=route_maps(configuration.routes),
    )
