"""Puts sign-in and sign-out into the gateway service."""

from __future__ import annotations

from collections.abc import Mapping

from cloudlet.contracts.gateway import OWN_PATHS
from cloudlet.contracts.guard import SIGN_IN
from cloudlet.errors import InternalError
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Handler, Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import Application
from cloudlet.gateway.signin.flow import SignIn
from cloudlet.gateway.signin.provider import Provider
from cloudlet.gateway.signin.signout import SignOut
from cloudlet.gateway.tokens.fetch import Fetcher

SIGN_OUT = f"{OWN_PATHS}signout"


def install(application: Application) -> None:
    """Before the application starts."""
    configuration = application.configuration
    if not configuration.identity.oidc:
        return
    if len(configuration.session_key) < 32:
        raise InternalError("the key of sessions has fewer than 32 characters")
    fetcher = Fetcher()
    application.on_stop(fetcher.close)
    handlers: dict[str, Handler] = {}
    for name, settings in configuration.identity.oidc.items():
        provider = Provider(settings, fetcher)
        flow = SignIn(name, settings, provider, configuration.session_key)
        handlers[f"{SIGN_IN}/{name}"] = _reading(flow.start)
        handlers[f"{SIGN_IN}/{name}/callback"] = _reading(flow.callback)
        handlers[f"{SIGN_OUT}/{name}"] = SignOut(name, settings, provider).handle
    for prefix in (SIGN_IN, SIGN_OUT):
        application.add(f"{prefix}/", _by_path(handlers))


def _by_path(handlers: Mapping[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        handler = handlers.get(request.path)
        if handler is None:
            raise Refusal(404, "no provider of this name is in the file")
        return await handler(request)

    return handle


def _reading(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        if request.method != "GET":
            raise Refusal(405, "sign in by GET", headers={"allow": "GET"})
        return await handler(request)

    return handle
