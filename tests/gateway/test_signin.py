"""Browsers signing in at a real provider, and everybody who tries to do so with what is not theirs."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from cloudlet.contracts.gateway import GatewayConfiguration
from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import Refusal
from cloudlet.gateway.response import Response
from cloudlet.gateway.server import Application
from cloudlet.gateway.signin.attempt import Attempt, Seal
from cloudlet.gateway.signin.flow import Used
from cloudlet.gateway.signin.install import install
from cloudlet.gateway.signin.places import local, origin
from cloudlet.gateway.signin.session import LARGEST_CLAIMS, TooManyRoles, session_claims
from cloudlet.gateway.tokens.claims import Principal
from cloudlet.gateway.tokens.jwt import Unverified
from cloudlet.stack.identity import Identity, Oidc

from .asking import ask, read
from .oidc import CLIENT, SECRET, OpenIdProvider
from .provider import named, public_pem, signed

KEY = "the key of sessions, which the edge has too"
IN, OUT = "/.cloudlet/signin/staff", "/.cloudlet/signout/staff"


class Browser:
    """Keeps cookies as one does, and goes where it is sent."""

    def __init__(self, application: Application, scheme: str = "https") -> None:
        self.application, self.scheme, self.cookies = application, scheme, dict[str, str]()

    async def go(self, target: str, method: str = "GET", **headers: str) -> Response:
        sent = {"accept": "text/html", "x-forwarded-proto": self.scheme, "x-forwarded-host": "shop.example", **headers}
        sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = await ask(self.application, method, target, sent)
        for line in response.headers.all("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            assert "; Path=/;" in line and "; HttpOnly; SameSite=Lax" in line
            assert ("; Secure" in line) == name.startswith("__Host-") == (self.scheme == "https")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    async def leave(self, to: str = "/orders?page=2") -> str:
        """Begins, and signs in at the provider: the address that it sends the browser back to."""
        begun = await self.go(f"{IN}?to={quote(to)}")
        assert begun.status == 303, begun.body
        return await at_provider(begun.headers.get("location"))

    async def sign_in(self, to: str = "/orders?page=2") -> Response:
        return await self.go(await self.leave(to))

    def session(self) -> dict[str, Any]:
        """What the edge reads from the cookie."""
        name = "__Host-cloudlet-staff" if self.scheme == "https" else "cloudlet-staff"
        return Unverified(self.cookies[name]).verified([jwk.OctKey.import_key(KEY)], ("HS256",))


async def at_provider(address: str, host: str = "shop.example") -> str:
    async with aiohttp.ClientSession() as session, session.get(address, allow_redirects=False) as answer:
        back = urlsplit(answer.headers["Location"])
    assert back.netloc == host
    return f"{back.path}?{back.query}"


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    made = await OpenIdProvider().start()
    yield made
    await made.stop()


async def running(provider: OpenIdProvider, **settings: Any) -> Application:
    oidc = Oidc(issuer=provider.issuer, client_id=CLIENT, **{"client_secret": SECRET, **settings})
    made = Application(GatewayConfiguration(identity=Identity(oidc={"staff": oidc}), session_key=KEY))
    install(made)
    await made.start()
    return made


@pytest.fixture
async def application(provider: OpenIdProvider) -> AsyncIterator[Application]:
    made = await running(provider)
    yield made
    await made.stop()


@pytest.fixture
def browser(application: Application) -> Browser:
    return Browser(application)


def said(response: Response) -> str:
    return response.body.decode()


async def test_signing_in(browser: Browser) -> None:
    """The browser comes back signed in, where it wanted to go; the attempt's cookie is gone."""
    back = await browser.leave()
    response = await browser.go(back)
    assert (response.status, response.headers.get("location")) == (303, "/orders?page=2")
    assert response.headers.get("cache-control") == "no-store"
    assert list(browser.cookies) == ["__Host-cloudlet-staff"]
    session = browser.session()
    assert session["exp"] - session["iat"] == 28800
    del session["exp"], session["iat"]
    assert session == {"iss": "cloudlet:staff", "sub": "user-7", "roles": ["buyer"], "email": "ann@shop.example"}


async def test_what_the_provider_is_asked(browser: Browser) -> None:
    """PKCE by S256, state and nonce anew each time, and nothing of the verifier."""
    asked = []
    for _ in range(2):
        location = urlsplit((await browser.go(f"{IN}?to=/")).headers.get("location"))
        asked.append({name: value[0] for name, value in parse_qs(location.query).items()})
    assert asked[0]["redirect_uri"] == "https://shop.example/.cloudlet/signin/staff/callback"
    assert asked[0]["code_challenge_method"] == "S256" and asked[0]["scope"] == "openid profile email"
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name] and len(asked[0][name]) >= 43


async def test_plain_http_has_plain_cookies(application: Application) -> None:
    """`__Host-` cookies need https; without, the name is another, and what https set does not count."""
    browser = Browser(application, "http")
    assert (await browser.sign_in()).status == 303
    assert list(browser.cookies) == ["cloudlet-staff"]


async def test_several_tabs(browser: Browser) -> None:
    """Each attempt comes back by itself, in any order."""
    first, second = await browser.leave("/1"), await browser.leave("/2")
    assert (await browser.go(second)).headers.get("location") == "/2"
    assert (await browser.go(first)).headers.get("location") == "/1"


async def test_cookies_of_attempts_do_not_pile_up(browser: Browser) -> None:
    """A page that begins over and over fills no header."""
    for _ in range(20):
        await browser.leave()
    assert len(browser.cookies) <= 7
    assert (await browser.sign_in()).status == 303


async def test_a_replayed_callback(browser: Browser, provider: OpenIdProvider) -> None:
    """Neither by the address alone, nor with the attempt's cookie kept back; no code is asked for twice."""
    back = await browser.leave()
    kept = dict(browser.cookies)
    assert (await browser.go(back)).status == 303
    signed_in = dict(browser.cookies)
    browser.cookies = {}
    response = await browser.go(back)
    assert response.status == 400 and "This sign-in is over" in said(response)
    browser.cookies = kept
    response = await browser.go(back)
    assert response.status == 400 and "finished before" in said(response)
    assert response.headers.get("cloudlet-refused") == "sign-in:replay"
    assert not set(browser.cookies) & set(signed_in)
    assert provider.asked.count("token") == 1


async def test_somebody_elses_callback(application: Application, browser: Browser) -> None:
    """An attacker's callback signs nobody in under the attacker's name (login CSRF), nor does a mixed-up state."""
    attacker = Browser(application)
    theirs, ours = await attacker.leave(), await browser.leave()
    response = await browser.go(theirs)
    assert response.status == 400 and "began in another browser" in said(response)
    state = parse_qs(urlsplit(ours).query)["state"][0]
    response = await browser.go(ours.replace(state, state[:-3] + "AAA"))
    assert response.status == 400 and response.headers.get("cloudlet-refused") == "sign-in:state"
    response = await browser.go(ours.replace(f"state={state}", "state="))
    assert response.status == 400
    assert "__Host-cloudlet-staff" not in browser.cookies


async def test_an_attackers_cookie(application: Application, browser: Browser) -> None:
    """A sealed attempt under another state's name is not ours; one that we did not seal is none."""
    attacker = Browser(application)
    await attacker.leave()
    back = await browser.leave()
    ((name, _),) = browser.cookies.items()
    for value in (next(iter(attacker.cookies.values())), "x", "gAAAAA", "é"):
        browser.cookies = {name: value}
        assert (await browser.go(back)).status == 400


async def test_a_stolen_code(application: Application, browser: Browser) -> None:
    """A code of one browser is worth nothing in another: it was bound to the verifier of the first."""
    attacker = Browser(application)
    ours, theirs = await browser.leave(), await attacker.leave()
    code, other = (parse_qs(urlsplit(back).query)["code"][0] for back in (ours, theirs))
    response = await attacker.go(theirs.replace(other, code))
    assert response.status == 502 and "__Host-cloudlet-staff" not in attacker.cookies


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"iss": "https://evil"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["shop", "another"]}, "azp"),
        ({"aud": ["shop", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "no-expiry"),
        ({"iat": 4e9}, "not-yet"),
        ({"sub": None}, "no-user"),
        ({"sub": 7}, "no-user"),
    ],
)
async def test_an_id_token_that_lies(
    browser: Browser, provider: OpenIdProvider, lies: dict[str, Any], reason: str
) -> None:
    """One wrong claim each, well signed: nobody is signed in, and the page says which."""
    provider.lies = lies
    response = await browser.sign_in()
    assert response.status == 502 and f"({reason})" in said(response)
    assert response.headers.get("cloudlet-refused") == f"sign-in:{reason}"
    assert not browser.cookies


async def test_several_audiences_with_ours_authorized(browser: Browser, provider: OpenIdProvider) -> None:
    """A token for several is good when it says that we may have it."""
    provider.lies = {"aud": ["shop", "another"], "azp": "shop"}
    assert (await browser.sign_in()).status == 303


async def test_forged_signatures(browser: Browser, provider: OpenIdProvider) -> None:
    """None, a secret that is the client's or the public key's, somebody else's key under the provider's name."""

    def encoded(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    right = provider.keys[0]
    secret = jwk.OctKey.import_key(SECRET + "padded to thirty-two bytes")
    stranger = named("RSA", 2048, right.kid)
    assert public_pem(right) != public_pem(stranger)
    for forge, reason in (
        (lambda claims: f"{encoded({'alg': 'none'})}.{encoded(claims)}.", "algorithm"),
        (lambda claims: signed(claims, secret, "HS256"), "algorithm"),
        (lambda claims: signed(claims, stranger, "RS256", kid=right.kid), "signature"),
        (lambda claims: signed(claims, right, "PS256", kid=right.kid), "algorithm"),
        (lambda claims: "not a token", "malformed"),
    ):
        provider.forge = forge
        response = await browser.sign_in()
        assert response.status == 502 and f"({reason})" in said(response), reason
    provider.changes = {"id_token_signing_alg_values_supported": ["none", "HS256"]}
    assert not browser.cookies


async def test_keys_rotate(application: Application, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token by a new key is taken when the set may be asked for again."""
    browser = Browser(application)
    assert (await browser.sign_in()).status == 303
    provider.rotate()
    monkeypatch.setattr("cloudlet.gateway.tokens.jwks.PAUSE", 0.0)
    assert (await browser.sign_in()).status == 303
    assert provider.asked.count("keys") == 2 and provider.asked.count("discovery") == 1


async def test_the_provider_refuses(browser: Browser, provider: OpenIdProvider) -> None:
    """Its refusal is told; what it says is shown as text."""
    for error, status, text in (
        ("access_denied", 403, "access was denied"),
        ("temporarily_unavailable", 503, "Try again"),
        ("<script>alert(1)</script>", 502, "&lt;script&gt;alert(1)"),
    ):
        provider.error = error
        response = await browser.sign_in("/orders")
        assert (response.status, text in said(response)) == (status, True)
        assert 'href="/.cloudlet/signin/staff?to=%2Forders"' in said(response)
        assert "<script" not in said(response)
        assert "default-src 'none'" in response.headers.get("content-security-policy")
        assert not browser.cookies


async def test_another_providers_answer(browser: Browser, provider: OpenIdProvider) -> None:
    """RFC 9207: an answer that says another issuer, or none though the provider always says one."""
    back = await browser.leave()
    issuer = quote(provider.issuer, safe="")
    assert issuer in back
    assert "another provider" in said(await browser.go(back.replace(issuer, "https%3A%2F%2Fevil")))
    application = await running(provider)
    provider.changes = {"authorization_response_iss_parameter_supported": True}
    careful = Browser(application)
    back = await careful.leave()
    assert "another provider" in said(await careful.go(back.replace(f"&iss={issuer}", "")))
    assert (await careful.sign_in()).status == 303
    await application.stop()


async def test_a_provider_that_is_away(provider: OpenIdProvider) -> None:
    """It says so, in a page or as problem details, and does not ask again for every visitor."""
    provider.changes = {"issuer": "https://evil"}
    application = await running(provider)
    browser = Browser(application)
    for _ in range(5):
        response = await browser.go(f"{IN}?to=/")
        assert response.status == 503 and "does not answer" in said(response)
    assert provider.asked == ["discovery"]
    response = await browser.go(f"{IN}?to=/", accept="application/json")
    assert response.headers.get("content-type") == "application/problem+json"
    await application.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint": "http://example.com/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 7},
    ],
)
async def test_a_document_that_cannot_be_trusted(provider: OpenIdProvider, changes: dict[str, Any]) -> None:
    """Codes and secrets go over https only, and nowhere that is not said."""
    provider.changes = changes
    application = await running(provider)
    assert (await Browser(application).go(f"{IN}?to=/")).status == 503
    await application.stop()


async def test_a_wrong_client_secret(provider: OpenIdProvider) -> None:
    """The operator's mistake signs nobody in."""
    application = await running(provider, client_secret="wrong")
    response = await Browser(application).sign_in()
    assert response.status == 502 and "(exchange)" in said(response)
    await application.stop()


async def test_userinfo_says_what_the_token_does_not(provider: OpenIdProvider) -> None:
    """Roles from there, of the same subject only; without it the sign-in goes on where the user is known."""
    provider.lies = {"roles": None}
    application = await running(provider, user="email")
    browser = Browser(application)
    provider.userinfo = {"sub": "user-7", "roles": ["admin"], "email": "ignored@evil.example"}
    assert (await browser.sign_in()).status == 303
    assert (browser.session()["sub"], browser.session()["roles"]) == ("ann@shop.example", ["admin"])
    provider.userinfo = {"sub": "somebody-else", "roles": ["admin"]}
    assert "(userinfo)" in said(await browser.sign_in())
    provider.userinfo = None
    assert (await browser.sign_in()).status == 303 and browser.session()["roles"] == []
    await application.stop()


BAD_PLACES = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " /orders",
    "/a\r\nSet-Cookie: x=y",
    "/\x00",
    "orders",
    "",
    "/" + "x" * 3000,
]


@pytest.mark.parametrize("to", BAD_PLACES)
async def test_open_redirects(browser: Browser, to: str) -> None:
    """Nobody is led to another host by an address of ours, signing in or out."""
    for target in (IN, OUT):
        response = await browser.go(f"{target}?to={quote(to)}", **{"sec-fetch-site": "same-origin"})
        assert response.status == 400 and "location" not in response.headers
    assert not browser.cookies


@given(st.text(max_size=30).map(lambda text: "/" + text))
def test_a_local_place_is_a_path(to: str) -> None:
    """Whatever is taken leads to a path of the same host, as a header in ASCII."""
    try:
        place = local(to)
    except Refusal:
        return
    parts = urlsplit(place)
    assert (parts.scheme, parts.netloc) == ("", "") and place.startswith("/") and not place.startswith("//")
    assert place.isascii() and place.isprintable() and "\\" not in place


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a\r\nb", "evil.example/\\", "a:999999", "x" * 300])
def test_what_is_no_host(host: str) -> None:
    """It goes into the redirect_uri, so it is looked at."""
    with pytest.raises(Refusal, match="not a host"):
        origin(Headers([("x-forwarded-host", host)]))


async def test_twice_is_never(browser: Browser) -> None:
    """A parameter, or a cookie, that is there twice could mean two things to two readers."""
    assert (await browser.go(f"{IN}?to=/a&to=/b")).status == 400
    back = await browser.leave()
    assert (await browser.go(f"{back}&state=x")).status == 400
    ((name, value),) = browser.cookies.items()
    browser.cookies = {name: f"{value}; {name}=x"}
    assert (await browser.go(back)).status == 400


async def test_other_names_and_methods(browser: Browser) -> None:
    """Only what the file names is there, and only by GET."""
    assert (await browser.go("/.cloudlet/signin/nobody?to=/")).status == 404
    assert (await browser.go(f"{IN}/other")).status == 404
    assert (await browser.go(f"{IN}?to=/", "POST")).status == 405


async def test_signing_out(browser: Browser, provider: OpenIdProvider) -> None:
    """A page of ours may; the session is gone, and the browser goes on to the provider to end it there."""
    await browser.sign_in()
    response = await browser.go(f"{OUT}?to=/bye", "POST", **{"sec-fetch-site": "same-origin"})
    assert response.status == 303 and not browser.cookies
    assert response.headers.get("location") == (
        f"{provider.issuer}/logout?client_id=shop&post_logout_redirect_uri=https%3A%2F%2Fshop.example%2Fbye"
    )


async def test_signing_out_where_the_provider_offers_nothing(provider: OpenIdProvider) -> None:
    """The session ends here at least, also while the provider is away; an older browser says Origin only."""
    provider.changes = {"end_session_endpoint": None}
    application = await running(provider)
    browser = Browser(application)
    await browser.sign_in()
    response = await browser.go(f"{OUT}?to=/bye", "POST", origin="https://shop.example")
    assert (response.status, response.headers.get("location")) == (303, "/bye") and not browser.cookies
    await application.stop()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://shop.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://shop.example"},
        {"sec-fetch-site": "cross-site", "origin": "https://shop.example"},
    ],
)
async def test_nobody_signs_others_out(browser: Browser, headers: dict[str, str]) -> None:
    """Neither a form of another site's, nor an image or link, which is a GET."""
    await browser.sign_in()
    assert (await browser.go(OUT, "POST", **headers)).status == 403
    response = await browser.go(f'{OUT}?to=/"><script>', **headers)
    assert response.status == 200 and '<form method="post" action="?to=' in said(response)
    assert "<script" not in said(response) and "frame-ancestors 'none'" in response.headers.get(
        "content-security-policy"
    )
    assert "__Host-cloudlet-staff" in browser.cookies


def test_the_claims_of_a_session_are_bounded() -> None:
    """Short claims first; what does not fit is left out, and roles that do not fit are refused."""
    claims = {"sub": "x", "email": "ann@shop.example", "groups": ["g" * 40] * 100, "tenant": "7", "nonce": "n"}
    said = session_claims("staff", Principal("ann", ("buyer",), (), claims), 60, 1000.0)
    assert said == {
        "iss": "cloudlet:staff",
        "sub": "ann",
        "roles": ["buyer"],
        "iat": 1000,
        "exp": 1060,
        "tenant": "7",
        "email": "ann@shop.example",
    }
    assert len(json.dumps(said)) < LARGEST_CLAIMS
    with pytest.raises(TooManyRoles):
        session_claims("staff", Principal("ann", ("r" * 50,) * 60), 60, 1000.0)


async def test_a_session_with_too_many_roles_is_refused_clearly(browser: Browser, provider: OpenIdProvider) -> None:
    """Rather than dropped by the browser, which would lead in circles."""
    provider.lies = {"roles": ["a-role-with-a-long-name"] * 200}
    response = await browser.sign_in()
    assert response.status == 403 and "Too many roles" in said(response)


def test_attempts_expire_and_keys_differ() -> None:
    """Ten minutes, and by the key that sealed them."""
    attempt = Attempt.new("staff", "https://shop.example/back", "/")
    sealed = Seal(KEY).close(attempt, 1000.0)
    assert Seal(KEY).open(sealed, 1600.0) == attempt
    assert Seal(KEY).open(sealed, 1601.0) is None
    assert Seal("another key").open(sealed, 1000.0) is None
    assert attempt.verifier not in sealed and attempt.state not in sealed


def test_what_was_used_is_forgotten_in_time() -> None:
    """It is remembered for as long as it could be replayed, and bounded."""
    used = Used(most=2)
    assert used.take("a", 0.0) and not used.take("a", 0.0) and not used.take("a", 599.0)
    assert used.take("a", 600.0)
    assert used.take("b", 600.0) and used.take("c", 600.0)
    assert not used.take("c", 600.0)


async def test_without_a_page(application: Application) -> None:
    """A program that follows gets problem details."""
    browser = Browser(application)
    response = await browser.go(f"{IN}/callback?state=x&code=y", accept="*/*")
    assert read(response)["status"] == 400 and response.headers.get("cloudlet-refused") == "sign-in:attempt"
