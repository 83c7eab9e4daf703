"""Roles, scopes and policies at the real edge, and tricks with paths."""

from __future__ import annotations

from typing import Any

from cloudlet.contracts.guard import Condition, Guard

from . import raw, tokens
from .conftest import Harness
from .guarding import Answer, ask, bearer, guard, issuer, route


def shop(**more: Any) -> Guard:
    return Guard(jwt={"shop": issuer()}, **more)


async def asked(harness: Harness, path: str = "/", method: str = "GET", **claims: Any) -> Answer:
    headers = {"Authorization": f"Bearer {tokens.token(**claims)}"}
    return await ask(harness, path, headers, method)


async def test_one_of_the_roles_is_enough_and_roles_include_others(harness: Harness) -> None:
    """admin includes seller includes buyer, in a circle even; what is included is told to the service too."""
    roles = {"admin": ("seller",), "seller": ("buyer",), "buyer": ("admin-of-nothing", "buyer")}
    await guard(harness, shop(roles=roles), route("/*", {"jwt": "shop", "roles": ["buyer", "guest"]}))
    assert (await asked(harness, roles=["guest"])).status == 200
    assert (await asked(harness, roles=["admin"])).seen["x-forwarded-roles"] == ["admin,seller,buyer,admin-of-nothing"]
    for wrong in ([], ["Buyer"], ["buyer,admin"], ["other"], None, {"buyer": True}, [["buyer"]], 7, [True]):
        answer = await asked(harness, roles=wrong)
        assert answer.status == 403 and answer.detail == "this needs another role", wrong
        assert "www-authenticate" not in answer.headers
    # text is split at blanks, as scopes are
    assert (await asked(harness, roles="x buyer")).status == 200


async def test_a_role_cannot_smuggle_another_into_the_header(harness: Harness) -> None:
    """Names with what separates them are left out."""
    await guard(harness, shop(), route("/*", {"jwt": "shop"}))
    answer = await asked(harness, roles=["a", "b,admin", "c\r\nx-admin: 1", " admin"], scope=["r", "s admin"])
    assert answer.seen["x-forwarded-roles"] == ["a"] and answer.seen["x-forwarded-scopes"] == ["r"]


async def test_every_scope_is_needed(harness: Harness) -> None:
    """By text or list; what is missing is said as RFC 6750 has it."""
    await guard(harness, shop(), route("/*", {"jwt": "shop", "scopes": ["read", "write"]}))
    assert (await asked(harness, scope="write read")).status == 200
    assert (await asked(harness, scope=["write", "read"])).status == 200
    answer = await asked(harness, scope="read")
    assert answer.status == 403
    assert answer.headers["www-authenticate"] == ['Bearer realm="shop", error="insufficient_scope", scope="read write"']
    assert (await asked(harness, scope="readwrite")).status == 403


OWN = {"own": Condition({"sub": "{id}"}, ("admin",))}
ORDERS = route("/users/{id}/orders", {"jwt": "shop", "policies": "own"})


async def test_a_policy_binds_a_claim_to_the_path(harness: Harness) -> None:
    """Users see their own; a role may be free of it; numbers and encoded names are compared as they are meant."""
    await guard(harness, shop(policies=OWN), ORDERS)
    assert (await asked(harness, "/users/alice/orders")).status == 200
    answer = await asked(harness, "/users/bob/orders")
    assert answer.status == 403 and answer.detail == "the policy own does not allow this"
    assert (await asked(harness, "/users/bob/orders", roles=["admin"])).status == 200
    assert (await asked(harness, "/users/7/orders", sub=7)).status == 200
    assert (await asked(harness, "/users/a%20b/orders", sub="a b")).status == 200
    assert (await asked(harness, "/users/al%69ce/orders")).status == 200
    assert (await asked(harness, "/users/100%25/orders", sub="100%")).status == 200


async def test_path_tricks_do_not_pass_a_policy(harness: Harness) -> None:
    """Where the service could read another name than the edge, nobody passes."""
    await guard(harness, shop(policies=OWN), ORDERS, route("/*", {"jwt": "shop", "roles": "nobody"}))
    line = f"Authorization: Bearer {tokens.token()}"
    tricks = (
        "/users/alice%2Forders",
        "/users/bob%2F..%2Falice/orders",
        "/users/alice%252F..%252Fbob/orders",
        "/users/%61lice%2forders",
        "/users//alice/orders",
        "//users/alice/orders",
        "/users/alice/../bob/orders",
        "/users/alice%00/orders",
        "/users/alice;x=bob/orders",
        "/users/Alice/orders",
        "/users/alice%20/orders",
        "/users/{id}/orders",
        "/users/%7Bid%7D/orders",
    )
    for path in tricks:
        status, _ = await raw.send(harness.port, raw.get(path, line))
        assert status in (400, 403, 404), path
    assert (await raw.send(harness.port, raw.get("/users/alice/orders?id=bob", line)))[0] == 200


async def test_policies_over_other_claims(harness: Harness) -> None:
    """Literals, lists, nested claims, method and host; a claim that is not there is never equal to anything."""
    policies = {
        "paid": Condition({"plan.name": "gold"}),
        "tenant": Condition({"tenants": "{tenant}"}),
        "reads": Condition({"may": "{method} {host}"}),
        "verified": Condition({"verified": "true"}),
    }
    given = shop(policies=policies)
    await guard(
        harness,
        given,
        route("/paid", {"jwt": "shop", "policies": "paid"}),
        route("/t/{tenant}", {"jwt": "shop", "policies": ["tenant", "verified"]}),
        route("/reads", {"jwt": "shop", "policies": "reads"}),
    )
    assert (await asked(harness, "/paid", plan={"name": "gold"})).status == 200
    assert (await asked(harness, "/paid", **{"plan.name": "gold"})).status == 200
    for wrong in ({}, {"plan": "gold"}, {"plan": {"name": ["silver"]}}, {"plan": ["gold"]}, {"plan": {"name": None}}):
        assert (await asked(harness, "/paid", **wrong)).status == 403, wrong
    assert (await asked(harness, "/t/a", tenants=["b", "a"], verified=True)).status == 200
    assert (await asked(harness, "/t/a", tenants=["b", "a"], verified=False)).status == 403
    assert (await asked(harness, "/t/c", tenants=["b", "a"], verified=True)).status == 403
    assert (await asked(harness, "/reads", may="GET 127.0.0.1")).status == 200
    assert (await asked(harness, "/reads", "POST", may="GET 127.0.0.1")).status == 403


async def test_refusals_say_nothing_of_the_token(harness: Harness) -> None:
    """401 is for who is not known, 403 for who may not; neither says who."""
    await guard(harness, shop(), route("/*", {"jwt": "shop", "roles": "admin"}))
    answer = await bearer(harness, tokens.token(sub="secret-user"))
    assert answer.status == 403 and "secret-user" not in str(answer)
