"""API keys, passwords, sessions and client certificates at the real edge, beside hostile ones."""

from __future__ import annotations

import base64
import hashlib
import time

from cloudlet.contracts.guard import BasicUsers, Guard, KeyRecord

from . import raw, tokens
from .conftest import Harness
from .guarding import Answer, ask, bearer, guard, issuer, route

SALT, SESSION = "salt", "a session key of the gateway's own, long"
KEYED = route("/*", {"api_key": True})


def key(text: str, user: str = "billing", **more: object) -> KeyRecord:
    return KeyRecord(text.split("_")[1], hashlib.sha256(text.encode()).hexdigest(), user, **more)  # type: ignore[arg-type]


def users(name: str, **passwords: str) -> BasicUsers:
    hashes = {
        hashlib.sha256(f"{SALT}:{name}:{user}:{password}".encode()).hexdigest(): (user, ("staff",))
        for user, password in passwords.items()
    }
    return BasicUsers(f"the {name}", SALT, hashes)


async def basic(harness: Harness, text: str | bytes, path: str = "/") -> Answer:
    encoded = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
    return await ask(harness, path, {"Authorization": f"Basic {encoded}"})


async def test_api_keys_count_and_end_without_a_reload(harness: Harness) -> None:
    """A key given over the socket counts at once, one taken back is refused at once; nothing is restarted."""
    one, two = "clk_1_" + "a" * 43, "clk_2_" + "b" * 43
    roles, scopes = ("reader", "own-orders"), ("orders:read",)
    await guard(harness, Guard(key_header="X-API-Key", keys=(key(one, roles=roles, scopes=scopes),)), KEYED)
    pid = harness.edge.pid
    answer = await ask(harness, headers={"x-api-key": one})
    assert answer.seen["x-forwarded-user"] == ["billing"] and answer.seen["x-forwarded-roles"] == ["reader,own-orders"]
    assert answer.seen["x-forwarded-scopes"] == ["orders:read"]
    assert "x-api-key" not in answer.seen, "the key itself goes no further"
    refused = await ask(harness, headers={"x-api-key": two})
    assert refused.status == 401 and refused.headers["www-authenticate"] == [
        'ApiKey realm="cloudlet", header="X-API-Key"'
    ]
    assert two not in str(refused)
    await guard(harness, Guard(key_header="X-API-Key", keys=(key(two),)), KEYED)
    assert (await ask(harness, headers={"x-api-key": two})).status == 200
    assert (await ask(harness, headers={"x-api-key": one})).status == 401
    assert harness.edge.pid == pid


async def test_an_expired_key_is_refused_by_the_edge_itself(harness: Harness) -> None:
    """Nobody has to tell it: the expiry is in its map."""
    text = "clk_1_" + "a" * 43
    await guard(harness, Guard(key_header="X-API-Key", keys=(key(text, expires=time.time() + 1.5),)), KEYED)
    assert (await ask(harness, headers={"x-api-key": text})).status == 200
    while (answer := await ask(harness, headers={"x-api-key": text})).status == 200:
        pass
    assert answer.detail.endswith("expired")


async def test_hostile_keys_are_refused(harness: Harness) -> None:
    """Neither a hash, nor an id, nor anything near a key counts, and two keys are one too many."""
    text = "clk_1_" + "a" * 43
    record = key(text)
    await guard(harness, Guard(key_header="X-API-Key", keys=(record,)), KEYED)
    for bad in (record.hash, "1", "clk_1", text[:-1], text + "a", text.upper(), "x" * 300, "", "#", "%s", "'"):
        assert (await ask(harness, headers={"x-api-key": bad})).status == 401, bad
    line = f"X-API-Key: {text}"
    assert (await raw.send(harness.port, raw.get("/", line)))[0] == 200
    assert (await raw.send(harness.port, raw.get("/", line, line)))[0] == 400
    # not by the query, nor as a token
    assert (await ask(harness, f"/?x-api-key={text}")).status == 401
    assert (await bearer(harness, text)).status == 401


async def test_basic_takes_the_right_password_of_the_right_list(harness: Harness) -> None:
    """Passwords may hold colons and any letters; another list's users do not count."""
    lists = {"team": users("team", alice="s:e c, rét"), "ops": users("ops", bob="hunter2")}
    routes = (route("/team/*", {"basic": "team"}), route("/all/*", {"basic": ["team", "ops"]}))
    await guard(harness, Guard(basic=lists), *routes)
    answer = await basic(harness, "alice:s:e c, rét", "/team/x")
    assert answer.seen["x-forwarded-user"] == ["alice"] and answer.seen["x-forwarded-roles"] == ["staff"]
    assert (await basic(harness, "bob:hunter2", "/all/x")).seen["x-forwarded-user"] == ["bob"]
    refused = await basic(harness, "bob:hunter2", "/team/x")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == ['Basic realm="the team", charset="UTF-8"']
    both = (await ask(harness, "/all/x")).headers["www-authenticate"]
    assert both == ['Basic realm="the team", charset="UTF-8"', 'Basic realm="the ops", charset="UTF-8"']


async def test_hostile_passwords_are_refused(harness: Harness) -> None:
    """Wrong user, wrong password, wrong case, no colon, control characters, broken base64."""
    await guard(harness, Guard(basic={"team": users("team", alice="right")}), route("/*", {"basic": "team"}))
    bad = ("alice:wrong", "bob:right", "Alice:right", "alice:right\n", "alice:right\0", "alice", ":right", "", ":")
    for text in (*bad, "team:alice:right", "alice:right:", b"\xff\xfe:x"):
        assert (await basic(harness, text)).status == 401, text
    for broken in ("!!!", "YWxpY2U6cmlnaHQ=x", "YWxpY2U6cmlna", "YWxp Y2U6cmlnaHQ=", "="):
        assert (await ask(harness, headers={"Authorization": f"Basic {broken}"})).status == 401, broken
    assert (await basic(harness, "alice:right")).status == 200


def session(name: str = "people", secret: str = SESSION, **changes: object) -> str:
    said = {"iss": f"cloudlet:{name}", "aud": None, "iat": None, "sub": "alice", "roles": ["buyer"], **changes}
    return tokens.token("HS256", secret.encode(), **said)


def signed_in(**more: str) -> dict[str, str]:
    return {"Cookie": f"a=1; cloudlet-people={session()}; b=2", **more}


PEOPLE = Guard(oidc=("people",), session_key=SESSION)
BROWSED = route("/*", {"oidc": "people"})


async def test_a_session_identifies_and_stays_at_the_edge(harness: Harness) -> None:
    """The cookie gives user and roles; services see the other cookies only, also on routes that require nothing."""
    await guard(harness, PEOPLE, route("/open/*"), BROWSED)
    answer = await ask(harness, headers=signed_in())
    assert answer.seen["x-forwarded-user"] == ["alice"] and answer.seen["x-forwarded-roles"] == ["buyer"]
    assert answer.seen["cookie"] == ["a=1; b=2"]
    assert (await ask(harness, "/open/x", signed_in())).seen["cookie"] == ["a=1; b=2"]
    alone = await ask(harness, headers={"Cookie": f"cloudlet-people={session()}"})
    assert alone.status == 200 and "cookie" not in alone.seen
    first = await ask(harness, headers={"Cookie": f"cloudlet-people={session()}; b=2"})
    assert first.seen["cookie"] == ["b=2"]


async def test_sessions_are_seen_by_cloudlets_own_routes_only(harness: Harness) -> None:
    """A path that only looks like one of ours, and falls to a service's `/*`, shows that service no session."""
    await guard(harness, PEOPLE, route("/*"), route("/.cloudlet/signout/*"), route("/mine/*", {"oidc": "people"}))
    assert (await ask(harness, "/.cloudlet/theft", signed_in())).seen["cookie"] == ["a=1; b=2"]
    assert "cloudlet-people=" in (await ask(harness, "/.cloudlet/signout/people", signed_in())).seen["cookie"][0]


async def test_long_cookies_cost_nothing(harness: Harness) -> None:
    """One text of 12 kB without any `=`, which a pattern could try from each letter on: that took four seconds."""
    await guard(harness, PEOPLE, BROWSED)
    begun = time.monotonic()
    for text in ("a" * 12_000, "a=" + " " * 12_000 + "b", ";" * 12_000, " " * 6_000 + "=" * 6_000, "a" * 12_000 + "="):
        assert (await ask(harness, headers={"Cookie": text})).status == 401
    assert time.monotonic() - begun < 1.0
    long = {"Cookie": f"{'a' * 4000}; cloudlet-people={session()}; {'b' * 4000}"}
    assert (await ask(harness, headers=long)).seen["x-forwarded-user"] == ["alice"]


async def test_hostile_sessions_are_none(harness: Harness) -> None:
    """Another's key or provider, an ended one, the https name on http, two cookies of the name: 401 each."""
    await guard(harness, PEOPLE, BROWSED)
    other = issuer()
    bad = [
        session(secret="x" * 40),
        session("others"),
        session(exp=int(time.time()) - 1),
        session(iss=other.issuer),
        tokens.unsigned("none", iss="cloudlet:people"),
        "",
    ]
    for value in bad:
        assert (await ask(harness, headers={"Cookie": f"cloudlet-people={value}"})).status == 401
    twice = f"cloudlet-people={session()}; cloudlet-people={session(sub='mallory')}"
    assert (await ask(harness, headers={"Cookie": twice})).status == 401
    assert (await ask(harness, headers={"Cookie": f"__Host-cloudlet-people={session()}"})).status == 401
    assert (await bearer(harness, session())).status == 401


async def test_browsers_are_sent_to_sign_in(harness: Harness) -> None:
    """A page that a browser asks for leads there and back; a program gets 401, and so does a form."""
    await guard(harness, PEOPLE, BROWSED)
    html = {"Accept": "text/html,*/*"}
    answer = await ask(harness, "/orders/7?a=b%20c&d", html)
    assert answer.status == 302 and answer.headers["cache-control"] == ["no-store"]
    assert answer.headers["location"] == ["/.cloudlet/signin/people?to=/orders/7%3Fa%3Db%2520c%26d"]
    _, said = await raw.send(harness.port, raw.get("//evil.example/", "Accept: text/html"))
    assert b"location: /.cloudlet/signin/people?to=/evil.example/\r\n" in said
    assert (await ask(harness, "/" + "x" * 3000, html)).headers["location"] == ["/.cloudlet/signin/people?to=/"]
    assert (await ask(harness)).status == 401
    assert (await ask(harness, headers=html, method="POST")).status == 401
    assert (await ask(harness, headers={**html, "Cookie": f"cloudlet-people={session(exp=1)}"})).status == 302


async def test_other_pages_cannot_use_a_session(harness: Harness) -> None:
    """What changes something, and a WebSocket, must come from this origin; a page that can't be told is another."""
    await guard(harness, PEOPLE, BROWSED)
    here = f"http://127.0.0.1:{harness.port}"

    async def status(method: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await ask(harness, headers=signed_in(**named), method=method)).status

    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert await status(method, Sec_Fetch_Site="same-origin") == 200
        assert await status(method, Origin=here) == 200
        assert await status(method) == 403
        assert await status(method, Sec_Fetch_Site="cross-site", Origin=here) == 403
        assert await status(method, Sec_Fetch_Site="same-site") == 403
        assert await status(method, Origin="null") == 403
        assert await status(method, Origin="http://evil.example") == 403
        assert await status(method, Origin=f"{here}.evil.example") == 403
    assert await status("GET", Sec_Fetch_Site="cross-site") == 200
    socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Key": "eHh4eHh4eHh4eHh4eHh4eA=="}
    assert await status("GET", **socket, Origin="http://evil.example") == 403
    assert await status("GET", **socket, Origin=here) == 200


async def test_of_several_credentials_one_counts(harness: Harness) -> None:
    """Authorization before a key before a session; a bad one is not made good by another."""
    text = "clk_1_" + "a" * 43
    given = Guard(
        jwt={"shop": issuer()}, key_header="X-API-Key", keys=(key(text),), oidc=("people",), session_key=SESSION
    )
    required = {"jwt": "shop", "api_key": True, "oidc": "people"}
    await guard(harness, given, route("/*", required), route("/key/*", {"api_key": True}))
    everything = {**signed_in(), "X-API-Key": text, "Authorization": f"Bearer {tokens.token(sub='carol')}"}
    assert (await ask(harness, headers=everything)).seen["x-forwarded-user"] == ["carol"]
    del everything["Authorization"]
    assert (await ask(harness, headers=everything)).seen["x-forwarded-user"] == ["billing"]
    assert (await ask(harness, headers={**everything, "X-API-Key": "clk_2_no"})).status == 401
    assert (await bearer(harness, tokens.token(exp=1), **everything)).status == 401
    # a scheme that the route does not take is the service's own business
    own = await ask(harness, "/key/x", {"X-API-Key": text, "Authorization": "Basic eDp5"})
    assert own.status == 200 and own.seen["authorization"] == ["Basic eDp5"]
    challenges = (await ask(harness)).headers["www-authenticate"]
    assert [text.split()[0] for text in challenges] == ["Bearer", "Session", "ApiKey"]
