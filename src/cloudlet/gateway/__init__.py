"""`cloudlet-gateway`: the service of cloudlet's own that does what HAProxy alone cannot. An ordinary service behind
the edge; only routes that need it pass through it.

    serve         the process: configuration, HTTP server, draining
    server        `Application`: which handler takes a request; other parts add handlers of their own
    pipeline      a route's handler, built once from its design: the steps around the source of its answers
    request, response, headers, problem, upstream    what all steps are written with
    validation, openapi, bodies, views, aggregation, idempotency, fallback    one step each
"""
