"""The shop behind its gateway: what cloudlet.yaml promises, and whoever tries to get around it. One stack for all."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from shop_harness import TOKEN_KEY, file_on_free_ports
from tests.support.live_stack import CLOUDLET, LiveStack, until

ORDER = {"product": "blue-mug", "quantity": 1}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
PASSWORD = "difference engine"


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    with LiveStack(file_on_free_ports()) as stack:
        command = [str(CLOUDLET), "-f", str(stack.file), "secret", "set", "shop-tokens"]
        subprocess.run(command, input=TOKEN_KEY, text=True, check=True, capture_output=True)
        stack.up()
        yield stack


@pytest.fixture(scope="module")
def shop(stack: LiveStack) -> Iterator[httpx.Client]:
    """Somebody with a browser at a desk, not signed in."""
    with _client(stack) as client:
        yield client


def _client(stack: LiveStack, address: str = "127.0.0.1", scheme: str = "http") -> httpx.Client:
    return httpx.Client(
        base_url=stack.address(f"gateway {scheme}"),
        headers={"user-agent": DESKTOP},
        timeout=30,
        transport=httpx.HTTPTransport(local_address=address, verify=False),
    )


User = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def user(shop: httpx.Client) -> User:
    """The headers of somebody of this name who has signed in: `user("bob")`."""
    known: dict[str, dict[str, str]] = {}

    def signed_in(name: str) -> dict[str, str]:
        if name not in known:
            credentials = {"name": name, "password": PASSWORD}
            assert shop.post("/api/users", json=credentials).status_code == 201
            answer = shop.post("/api/users/sessions", json=credentials)
            assert answer.status_code == 201
            known[name] = {"authorization": f"Bearer {answer.json()['token']}"}
        return known[name]

    return signed_in


def _placed(shop: httpx.Client, headers: dict[str, str]) -> dict[str, Any]:
    answer = shop.post("/api/orders", json=ORDER, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _pressed(ask: Callable[[], httpx.Response]) -> tuple[list[int], httpx.Response]:
    """Asks, eight at a time, until a limit says no: what was told before, and the first refusal."""
    passed: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        while True:
            answers = list(pool.map(lambda _: ask(), range(40)))
            passed += [answer.status_code for answer in answers if answer.status_code != 429]
            if refused := [answer for answer in answers if answer.status_code == 429]:
                return passed, refused[0]


def _token(key: str = TOKEN_KEY, **changes: Any) -> dict[str, str]:
    """What `users` signs, for an administrator; or nearly that."""
    claims = {"iss": "shop", "sub": "ada", "roles": ["admin"], "session": str(uuid.uuid4()), "exp": int(time()) + 600}
    signed = jwt.encode({"alg": "HS256"}, claims | changes, OctKey.import_key(key))
    return {"authorization": f"Bearer {signed}"}


def _unsigned(algorithm: str) -> dict[str, str]:
    claims = {"iss": "shop", "sub": "ada", "roles": ["admin"], "exp": int(time()) + 600}
    parts = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": algorithm}, claims))
    return {"authorization": f"Bearer {'.'.join(parts)}."}


def test_everybody_sees_the_catalogue_and_only_reads_it(shop: httpx.Client) -> None:
    """The list and a product need no token; what is no reading is refused with what is possible."""
    products = shop.get("/api/products")
    assert products.status_code == 200
    assert len(products.json()["products"]) == 6
    assert shop.get("/api/products/brass-pen").json()["name"] == "Brass pen"
    refused = shop.delete("/api/products/brass-pen")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, PUT")


def test_the_list_is_kept_for_a_moment_but_not_for_who_is_known(shop: httpx.Client, user: User) -> None:
    """Strangers share an answer of the edge's; one with a token gets the service's own."""
    until(lambda: "age" in shop.get("/api/products").headers, "an answer out of the edge's cache")
    assert "age" not in shop.get("/api/products", headers=user("bob")).headers


def test_what_has_no_route_reaches_no_service(shop: httpx.Client) -> None:
    """Not the address by which services ask each other, nor the health checks."""
    for path in ("/verify", "/health", "/api", "/api/orders/../../verify", "/.cloudlet/verify"):
        answer = shop.send(shop.build_request("GET", httpx.URL(str(shop.base_url), raw_path=path.encode())))
        assert answer.status_code in (400, 404)
        assert "x-served-by" not in answer.headers


def test_the_file_says_which_route_takes_a_request(stack: LiveStack) -> None:
    """Prices by their own route and not by that of reading; what has no route is said to be refused."""
    taken = stack.cloudlet("route", "explain", "PUT", "/api/products/blue-mug").stdout
    assert "is taken by prices: catalogue" in taken
    assert "not products: it takes GET and HEAD, not PUT" in taken
    assert "is answered with 404" in stack.cloudlet("route", "explain", "/verify").stdout


def test_an_administrator_changes_a_price(shop: httpx.Client, user: User) -> None:
    """Ada has the role, and who is signed in sees the new price at once."""
    answer = shop.put("/api/products/canvas-bag", json={"price": 2100}, headers=user("ada"))
    assert (answer.status_code, answer.json()["price"]) == (200, 2100)
    assert shop.get("/api/products/canvas-bag").json()["price"] == 2100


def test_nobody_else_changes_a_price(shop: httpx.Client, user: User) -> None:
    """A buyer is known and refused, whatever he says of himself; somebody without a token is not even known."""
    pretending = {"x-forwarded-user": "ada", "x-forwarded-roles": "admin", "cloudlet-route": "products"}
    for headers, status in (
        ({}, 401),
        (pretending, 401),
        (user("bob"), 403),
        (user("bob") | pretending, 403),
    ):
        answer = shop.put("/api/products/notebook", json={"price": 1}, headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert shop.get("/api/products/notebook").json()["price"] == 900


@pytest.mark.parametrize("path", ["/api/products//notebook", "/api/products%2fnotebook", "/api/%70roducts/notebook"])
def test_another_spelling_of_the_path_is_guarded_alike(shop: httpx.Client, path: str) -> None:
    request = shop.build_request("PUT", httpx.URL(str(shop.base_url), raw_path=path.encode()), json={"price": 1})
    assert shop.send(request).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer nonsense"},
        _token("another key, of thirty-two bytes as well"),
        _token(exp=int(time()) - 3600),
        _token(iss="another shop"),
        _unsigned("none"),
        _unsigned("None"),
        _unsigned("HS256"),
    ],
    ids=["none at all", "nonsense", "another key", "expired", "another issuer", "alg none", "alg None", "no signature"],
)
def test_a_token_that_does_not_hold_stops_at_the_edge(shop: httpx.Client, headers: dict[str, str]) -> None:
    """No service is asked, so a stranger costs none anything."""
    answer = shop.get("/api/orders", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "x-served-by" not in answer.headers


def test_the_services_know_what_the_edge_cannot(shop: httpx.Client, user: User) -> None:
    """Signed by the right key but of no open session: the edge lets it pass, `orders` asks `users` and refuses."""
    closed = shop.get("/api/orders", headers=_token())
    assert closed.status_code == 401
    assert closed.headers["x-served-by"].startswith("orders-")
    assert shop.get("/api/orders", headers=user("bob")).status_code == 200


def test_an_administrator_is_a_buyer_too(shop: httpx.Client, user: User) -> None:
    """`admin` includes `buyer`; a role that nobody named is neither."""
    assert _placed(shop, user("ada"))["total"] == 1400
    assert shop.post("/api/orders", json=ORDER, headers=_token(roles=["tester"])).status_code == 403


def test_an_order_that_does_not_fit_is_told_where(shop: httpx.Client, user: User) -> None:
    """The pointer leads into the body that was sent; a good order beside it is placed."""
    wrong = shop.post("/api/orders", json={"product": "Blue Mug", "quantity": 11}, headers=user("bob"))
    assert wrong.status_code == 422
    assert {error["pointer"] for error in wrong.json()["errors"]} == {"#/product", "#/quantity"}
    broken = shop.post(
        "/api/orders", content=b'{"product": ', headers=user("bob") | {"content-type": "application/json"}
    )
    assert (broken.status_code, broken.json()["line"]) == (400, 1)
    assert _placed(shop, user("bob"))["product"] == "blue-mug"


def test_the_same_key_orders_once(shop: httpx.Client, user: User) -> None:
    headers = user("bob") | {"idempotency-key": uuid.uuid4().hex}
    first, again = (shop.post("/api/orders", json=ORDER, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]


def test_a_body_that_is_too_large_or_hides_its_size_is_refused(shop: httpx.Client, user: User) -> None:
    large = ORDER | {"note": "x" * 2000}
    assert shop.post("/api/orders", json=large, headers=user("bob")).status_code == 413
    assert shop.post("/api/users", json=large).status_code == 413
    chunked = shop.post(
        "/api/orders",
        content=iter([json.dumps(ORDER).encode()]),
        headers=user("bob") | {"content-type": "application/json"},
    )
    assert chunked.status_code == 411


def test_one_user_over_the_limit_does_not_stop_another(stack: LiveStack, shop: httpx.Client, user: User) -> None:
    """A hundred at once, then 429 and when to come back; Dave, at the same address, orders on."""
    carol, dave = user("carol"), user("dave")
    passed, refused = _pressed(lambda: shop.post("/api/orders", json={}, headers=carol))
    assert set(passed) == {422}
    assert len(passed) >= 100
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-ratelimit-limit"] == "100"
    assert _placed(shop, dave)
    listed = json.loads(stack.cloudlet("limit", "ls", "--above", "0%", "--output", "json").stdout)["limits"]
    assert next(limit["key"] for limit in listed if limit["route"] == "place-order") == "carol"


def test_passwords_are_not_guessed_in_a_row(stack: LiveStack, shop: httpx.Client, user: User) -> None:
    """Twenty tries of one address, whatever it says that it is, then 429; others sign in."""
    user("eve")
    guess = {"name": "eve", "password": "analytical engine"}
    numbers = count(1)
    with _client(stack, "127.0.0.9") as elsewhere:
        passed, _ = _pressed(
            lambda: elsewhere.post(
                "/api/users/sessions", json=guess, headers={"x-forwarded-for": f"192.0.2.{next(numbers)}"}
            )
        )
    assert set(passed) == {401}
    assert len(passed) >= 20
    assert shop.post("/api/users/sessions", json={"name": "eve", "password": PASSWORD}).status_code == 201


def test_the_order_page_is_one_request(shop: httpx.Client, user: User) -> None:
    """The order, its buyer and what else there is; another's order and a stranger get nothing."""
    order = _placed(shop, user("bob"))
    page = shop.get(f"/api/order-page/{order['id']}", headers=user("bob") | {"x-forwarded-user": "ada"})
    assert page.status_code == 200
    assert (page.json()["order"]["id"], page.json()["buyer"]) == (order["id"], "bob")
    assert len(page.json()["also"]) == 6
    assert "x-partial" not in page.headers
    assert shop.get(f"/api/order-page/{order['id']}", headers=user("dave")).status_code == 404
    assert shop.get(f"/api/order-page/{order['id']}").status_code == 401


def test_a_telephone_gets_less(shop: httpx.Client) -> None:
    """Id, name and price for a telephone, everything for a desk, of one address; caches are told what it depends on."""
    desk = shop.get("/api/storefront")
    phone = shop.get("/api/storefront", headers={"user-agent": PHONE})
    assert set(phone.json()["products"][0]) == {"id", "name", "price"}
    assert set(desk.json()["products"][0]) == {"id", "name", "price", "description", "stock"}
    assert (phone.headers["x-view"], "x-view" in desk.headers) == ("mobile", False)
    assert "User-Agent" in phone.headers["vary"]


def test_without_its_catalogue_the_shop_goes_on(stack: LiveStack, shop: httpx.Client, user: User) -> None:
    """The order page is partial and says so, the storefront answers from what it had last, orders are placed."""
    order = _placed(shop, user("bob"))
    assert shop.get("/api/storefront").status_code == 200
    stack.cloudlet("scale", "catalogue=0")
    try:
        until(lambda: not stack.serving("catalogue"), "no catalogue")
        page = shop.get(f"/api/order-page/{order['id']}", headers=user("bob"))
        assert (page.status_code, page.headers["x-partial"]) == (200, "catalogue;reason=timeout")
        assert (page.json()["order"]["id"], page.json()["also"]) == (order["id"], None)
        shown = shop.get("/api/storefront", headers={"user-agent": PHONE})
        assert (shown.status_code, shown.headers["x-fallback"]) == (200, "cached")
        assert set(shown.json()["products"][0]) == {"id", "name", "price"}
        assert _placed(shop, user("bob"))
    finally:
        stack.cloudlet("scale", "catalogue=2")
    until(lambda: len(stack.serving("catalogue")) == 2, "the catalogue back")
    assert "x-fallback" not in shop.get("/api/storefront").headers


def test_answers_carry_security_headers_and_the_page_keeps_its_own(stack: LiveStack, shop: httpx.Client) -> None:
    """The page's policy names its one script by hash and is not touched; https adds Strict-Transport-Security."""
    page, listed = shop.get("/"), shop.get("/api/products")
    policies = page.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert "script-src 'sha256-" in policies[0]
    assert page.headers.get_list("x-content-type-options") == ["nosniff"]
    assert listed.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert "strict-transport-security" not in listed.headers
    with _client(stack, scheme="https") as safe:
        assert "max-age" in safe.get("/api/products").headers["strict-transport-security"]


def test_the_page_is_compressed_for_who_can_read_it(shop: httpx.Client) -> None:
    assert shop.get("/", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in shop.get("/", headers={"accept-encoding": "identity"}).headers


def test_what_looks_like_an_attack_passes_and_is_marked(stack: LiveStack, shop: httpx.Client) -> None:
    """`log`, not yet `block`: the answer is the usual one, the access log names the rule."""
    assert shop.get("/api/products", params={"q": "1' or '1'='1"}).status_code == 200
    log = stack.paths.logs / "edge.log"
    until(lambda: re.search(r'"suspect":"sqli-', log.read_text()), "the rule's name in the log")


def test_refusals_are_audited(stack: LiveStack, shop: httpx.Client, user: User) -> None:
    """Who was refused what, and why, by route."""
    assert shop.put("/api/products/blue-mug", json={"price": 1}, headers=user("bob")).status_code == 403

    def entry() -> list[str]:
        lines = stack.cloudlet("audit").stdout.splitlines()
        return [
            line for line in lines if "refused 403" in line and "/api/products/blue-mug" in line and "prices" in line
        ]

    assert until(entry, "the refusal in the audit")
