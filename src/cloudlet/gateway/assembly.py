"""Puts the application together: the parts of the gateway service by what the configuration asks for.

A part is imported when it is asked for: a start takes a third less time without the ones that are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.gateway.pipeline import Pipelines, Source
from cloudlet.gateway.server import Application
from cloudlet.gateway.upstream import Upstream
from cloudlet.policy.needs import asks_about_tokens

if TYPE_CHECKING:
    from cloudlet.gateway.idempotency_store import IdempotencyStore


def assemble(configuration: GatewayConfiguration) -> Application:
    """Everything is built and nothing begun. Raises OperatorError for a document that cannot be read."""
    application = Application(configuration)
    upstream = Upstream(configuration.services)
    application.on_start(upstream.start)
    application.on_stop(upstream.stop)
    _identity(application)
    # parts with handlers or sources of their own are registered here
    sources: dict[str, Source] = {}
    if any(route.grpc is not None for route in configuration.routes.values()):
        sources["grpc"] = _grpc(application)
    pipelines = Pipelines(upstream, sources, _store(application))
    application.add_routes({label: pipelines.build(label, route) for label, route in configuration.routes.items()})
    return application


def _identity(application: Application) -> None:
    identity = application.configuration.identity
    if asks_about_tokens(identity):
        from cloudlet.gateway.tokens import install as tokens  # noqa: PLC0415

        tokens.install(application)
    if identity.oidc:
        from cloudlet.gateway.signin import install as signin  # noqa: PLC0415

        signin.install(application)


def _store(application: Application) -> IdempotencyStore | None:
    configuration = application.configuration
    if not any(route.idempotency for route in configuration.routes.values()) or not configuration.store:
        return None
    from cloudlet.gateway.idempotency_store import IdempotencyStore  # noqa: PLC0415

    store = IdempotencyStore(configuration.store)
    application.on_stop(store.close)
    return store


def _grpc(application: Application) -> Source:
    from cloudlet.gateway.grpc.source import Grpc  # noqa: PLC0415  (needs an extra, and only such routes do)

    made = Grpc(application.configuration)
    application.on_stop(made.stop)
    return made.source
