"""Signing in: `GET /.cloudlet/signin/NAME?to=/path` leads to the provider, `…/NAME/callback` back.

The state belongs to the browser that began (RFC 6749, 10.12), the nonce to the token, the verifier to the code; each
counts once. What was used is remembered here until it would have expired, which stops a replay at this instance; at
another one the cookie is gone, and the provider redeems no code twice (RFC 6749, 4.1.2).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlencode

from cloudlet.contracts.guard import SIGN_IN, session_cookie
from cloudlet.errors import ProviderFailed
from cloudlet.gateway.request import Request
from cloudlet.gateway.response import Response
from cloudlet.gateway.signin import cookies
from cloudlet.gateway.signin.attempt import LONGEST, Attempt, Seal, cookie_name, prefix
from cloudlet.gateway.signin.pages import Stopped, redirect, stopped, wants_page
from cloudlet.gateway.signin.places import local, origin, parameters
from cloudlet.gateway.signin.provider import Provider
from cloudlet.gateway.signin.session import TooManyRoles, session_claims, signed
from cloudlet.gateway.tokens.claims import Principal, Rejected
from cloudlet.stack.identity import Oidc

_MOST_USED = 100_000
#: attempts that a browser has under way; a page that asks in a loop must not fill the cookie header
_MOST_AT_ONCE = 6


class Used:
    """States that came back, until they would have expired."""

    def __init__(self, most: int = _MOST_USED) -> None:
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    def take(self, state: str, now: float) -> bool:
        """Whether it is the first time."""
        while self._until and (next(iter(self._until.values())) <= now or len(self._until) >= self._most):
            self._until.popitem(last=False)
        if state in self._until:
            return False
        self._until[state] = now + LONGEST
        return True


class SignIn:
    """One provider's two addresses."""

    def __init__(
        self, name: str, settings: Oidc, provider: Provider, session_key: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._name, self._settings, self._provider = name, settings, provider
        self._key, self._clock = session_key, clock
        self._seal, self._used = Seal(session_key), Used()

    async def start(self, request: Request) -> Response:
        ours = origin(request.headers)
        to = local(parameters(request.query).get("to", "/"))
        try:
            found = await self._provider.metadata()
        except ProviderFailed:
            return self._stop(request, _away(), to)
        attempt = Attempt.new(self._name, f"{ours}{SIGN_IN}/{self._name}/callback", to)
        sealed = self._seal.close(attempt, self._clock())
        name = cookie_name(attempt.state, secure=ours.secure)
        under_way = [key for key in cookies.read(request.headers) if key.startswith(prefix(secure=ours.secure))]
        forgotten = under_way if len(under_way) >= _MOST_AT_ONCE else []
        return redirect(
            self._provider.authorization(found, attempt),
            *(cookies.clear(old, secure=ours.secure) for old in forgotten),
            cookies.write(name, sealed, LONGEST, secure=ours.secure),
        )

    async def callback(self, request: Request) -> Response:
        """Whatever comes of it, the attempt is over."""
        ours, now = origin(request.headers), self._clock()
        given = parameters(request.query)
        state = given.get("state", "")
        over = cookies.clear(cookie_name(state, secure=ours.secure), secure=ours.secure)
        attempt = None
        try:
            attempt = self._began(request, state, secure=ours.secure)
            who = await self._came_back(attempt, given)
            token = signed(session_claims(self._name, who, self._settings.session, now), self._key)
        except TooManyRoles:
            text = "Your account has more roles than a session holds. Ask for fewer to be sent to this application."
            response = self._stop(request, Stopped(403, "Too many roles", text, "roles"))
        except Stopped as why:
            response = self._stop(request, why, attempt.to if attempt else "/")
        else:
            name = session_cookie(self._name, https=ours.secure)
            session = cookies.write(name, token, int(self._settings.session), secure=ours.secure)
            return redirect(attempt.to, over, session)
        if attempt is not None:
            response.headers.add("set-cookie", over)
        return response

    def _began(self, request: Request, state: str, *, secure: bool) -> Attempt:
        """The attempt that this browser began with this state, the first time it comes back. Raises Stopped."""
        sealed = cookies.read(request.headers).get(cookie_name(state, secure=secure)) if state else None
        attempt = self._seal.open(sealed, self._clock()) if sealed else None
        if attempt is None:
            text = "It took longer than ten minutes, was finished before, or began in another browser."
            raise Stopped(400, "This sign-in is over", text, "attempt")
        if not attempt.began_with(self._name, state):
            raise Stopped(400, "This sign-in is not yours", "It began with another state.", "state")
        if not self._used.take(attempt.state, self._clock()):
            raise Stopped(400, "This sign-in is over", "It was finished before.", "replay")
        return attempt

    async def _came_back(self, attempt: Attempt, given: dict[str, str]) -> Principal:
        """Who it is. Raises Stopped."""
        try:
            found = await self._provider.metadata()
            issuer = given.get("iss", None if found.says_issuer else self._settings.issuer)
            if issuer != self._settings.issuer:
                raise Stopped(400, "You were not signed in", "The answer is another provider's.", "issuer")
            if "error" in given:
                raise _refused(given)
            return await self._provider.exchange(found, attempt, given.get("code", ""))
        except ProviderFailed as error:
            raise _away() from error
        except Rejected as rejected:
            text = f"What the provider says about you does not count ({rejected.because})."
            raise Stopped(502, "You were not signed in", text, rejected.because) from rejected

    def _stop(self, request: Request, why: Stopped, to: str = "/") -> Response:
        again = f"{SIGN_IN}/{self._name}?{urlencode({'to': to})}"
        return stopped(why, again, html=wants_page(request.headers))


def _refused(given: dict[str, str]) -> Stopped:
    """RFC 6749, 4.1.2.1; what it says comes by way of the browser, so it is shown as the provider's words only."""
    code = given["error"][:60]
    if code == "access_denied":
        return Stopped(403, "You were not signed in", "The provider says that access was denied.", "denied")
    if code in ("temporarily_unavailable", "server_error"):
        return _away()
    return Stopped(502, "You were not signed in", f"The provider answered: {code}", "provider")


def _away() -> Stopped:
    return Stopped(503, "Sign-in is not possible now", "The provider does not answer. Try again in a moment.", "away")
