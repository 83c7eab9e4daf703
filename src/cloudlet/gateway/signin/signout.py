"""Signing out: `POST /.cloudlet/signout/NAME` from a page of ours; GET shows the button for it.

Another site can make a browser send either, so only a page of this origin is obeyed. The session ends in this browser;
where the provider offers it the browser is led there too (OpenID Connect RP-Initiated Logout 1.0), to end it there.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode, urlsplit

from cloudlet.contracts.guard import session_cookie
from cloudlet.errors import ProviderFailed
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.signin import cookies
from cloudlet.gateway.signin.pages import page, redirect
from cloudlet.gateway.signin.places import Origin, local, origin, parameters, same_origin
from cloudlet.gateway.signin.provider import Provider
from cloudlet.stack.identity import Oidc


class SignOut:
    """One provider's."""

    def __init__(self, name: str, settings: Oidc, provider: Provider) -> None:
        self._name, self._settings, self._provider = name, settings, provider

    async def handle(self, request: Request) -> Response:
        ours = origin(request.headers)
        to = local(parameters(request.query).get("to", "/"))
        ending = await self._end_session()
        if request.method in ("GET", "HEAD"):
            action = escape(f"?{urlencode({'to': to})}")
            button = f'<form method="post" action="{action}"><button>Sign out</button></form>'
            return page(200, "Sign out", "This ends your session here.", button, _origin_of(ending))
        if request.method != "POST":
            raise Refusal(405, "sign out by POST", headers={"allow": "GET, HEAD, POST"})
        if not same_origin(request.headers, ours):
            raise Refusal(403, "only a page of this host may sign you out", reason="sign-out:csrf")
        gone = cookies.clear(session_cookie(self._name, https=ours.secure), secure=ours.secure)
        return redirect(self._after(ending, ours, to), gone)

    async def _end_session(self) -> str:
        try:
            return (await self._provider.metadata()).end_session
        except ProviderFailed:
            return ""

    def _after(self, ending: str, ours: Origin, to: str) -> str:
        if not ending:
            return to
        told = {"client_id": self._settings.client_id, "post_logout_redirect_uri": f"{ours}{to}"}
        return f"{ending}{'&' if '?' in ending else '?'}{urlencode(told)}"


def _origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if address else ""
