"""The gateway's rules change under load: whoever may ask is served throughout, and whoever may not any more is refused
from the moment the command returned."""

from __future__ import annotations

import http.client
import json
import re
import socket
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk

from cloudlet.load import LoadPlan, Request
from tests.edge.tokens import pem, token
from tests.support import front
from tests.support.front import counted, issue, replace_file, statuses, steady
from tests.support.gateway import get
from tests.support.live_stack import LiveStack, until
from tests.support.load import load

REST = """
identity:
  api_keys: true
  jwt: {{shop: {{issuer: "https://issuer.test", audience: shop, jwks: keys.json}}}}
  roles: {{admin: {{includes: buyer}}}}
gateway:
  listen: {{http: 0, https: "off"}}
  deny: {{file: denied.txt}}
  headers: {{response: {{set: {{X-Front: "yes"}}}}}}
  routes:
    - path: /token/*
      to: web
      require: {{jwt: shop, roles: buyer}}
      rate_limits: [{{per: user, algorithm: token-bucket, rate: 50000/s}}]
    - path: /key/*
      to: web
      require: {{api_key: true}}
      rate_limits: [{{per: key, algorithm: token-bucket, rate: 50000/s}}]
    - path: /few/*
      to: web
      require: {{api_key: true}}
      rate_limits: [{{per: key, algorithm: token-bucket, rate: 1/h, burst: 20}}, {{per: client, rate: 500/d}}]
    - {{path: /notice, static: {{body: first}}}}
"""
OLD, NEW = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def bearer(key: ec.EllipticCurvePrivateKey, kid: str, *roles: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + token("ES256", key, header={"kid": kid}, roles=list(roles))}


def key_set(**keys: ec.EllipticCurvePrivateKey) -> str:
    found = [jwk.ECKey.import_key(pem(key)).as_dict(kid=kid, alg="ES256") for kid, key in keys.items()]
    return json.dumps({"keys": found})


@pytest.fixture
def stack(stack_of):
    with stack_of(front.STACK.format(rest=REST)) as live:
        (live.folder / "keys.json").write_text(key_set(old=OLD))
        (live.folder / "denied.txt").write_text("10.0.0.0/8\n")
        live.up()
        yield live


def test_rules_change_under_load_and_nobody_who_may_is_refused(stack):
    """Keys, a deny list, a key set, limits, roles and a static answer change: none of 11,000 valid requests fails, and
    none of it lets anybody through who has used up a limit."""
    good, spent = issue(stack, "steady")[1], issue(stack, "spender")[1]
    mix = (
        Request(target="/token/a", headers=bearer(OLD, "old", "admin")),
        Request(target="/key/a", headers={"X-API-Key": good}),
    )
    exceeded = LoadPlan(
        stack.address() + "/few/a", rate=100, duration=5, headers={"X-API-Key": spent}, expect=((429, 429),)
    )
    with load(steady(stack, mix=mix, rate=650, duration=17)) as running:
        revoked_at_once(stack)
        replace_file(stack.folder / "denied.txt", "10.0.0.0/8\n192.0.2.0/24\n")
        rotated(stack)
        able_to_hand_over(stack)
        assert statuses(stack, "/few/a", 22, X_API_Key=spent) == [200] * 20 + [429] * 2
        with load(exceeded) as refused:
            changed_by_file(stack)
    also = f"; {refused.report.failures or 'none'} of {refused.report.sent} passed a limit that was used up"
    counted("rules changed under load", running.report, also)
    assert refused.report.failed == 0


def able_to_hand_over(stack: LiveStack) -> None:
    """A process of the edge that was taught by none waits for peers to learn from, some seconds, before it teaches."""

    def able() -> bool:
        found = re.search(r"flags=0x([0-9a-f]+)", asked(stack, "show peers"))
        return found is not None and int(found[1], 16) & 3 == 3

    until(able, "the edge to be able to hand its counts over", patience=30)


def asked(stack: LiveStack, command: str) -> str:
    """What the edge's newest process answers."""
    generations = (path for path in (stack.paths.run / "edge").glob("*.sock") if path.stem.isdigit())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(max(generations, key=lambda path: int(path.stem))))
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def revoked_at_once(stack: LiveStack) -> None:
    """Refused on new connections and on one that was there before, and a key beside it is none the worse."""
    key_id, key = issue(stack, "short")
    kept = http.client.HTTPConnection(urlsplit(stack.address()).netloc, timeout=20)
    for expected in (200, 401):
        kept.request("GET", "/key/a", headers={"X-API-Key": key})
        answer = kept.getresponse()
        answer.read()
        assert answer.status == expected
        if expected == 200:
            stack.cloudlet("key", "revoke", key_id)
    assert statuses(stack, "/key/a", 5, X_API_Key=key) == [401] * 5
    kept.close()


def rotated(stack: LiveStack) -> None:
    """The new key joins the set: its first token counts, the old ones still do; a stranger's does not."""
    fresh, stranger = bearer(NEW, "new", "buyer"), bearer(NEW, "old", "buyer")
    assert statuses(stack, "/token/a", **stranger) == [401]
    replace_file(stack.folder / "keys.json", key_set(old=OLD, new=NEW))
    until(lambda: statuses(stack, "/token/a", **fresh) == [200], "the new key to count", patience=5)
    assert statuses(stack, "/token/a", 5, **fresh) == [200] * 5


def changed_by_file(stack: LiveStack) -> None:
    """A limit comes and goes, a role comes, a static answer changes, each by a command, true when it returns."""
    text = stack.file.read_text()
    clerk = bearer(OLD, "old", "clerk")
    limit = "{per: global, rate: 90000/s, algorithm: token-bucket}, {per: user,"
    stack.write(text.replace("{per: user,", limit))
    stack.up()
    assert statuses(stack, "/token/a", **clerk) == [403]
    stack.write(text.replace("roles: {admin", "roles: {clerk: {includes: buyer}, admin").replace("first", "second"))
    stack.up()
    assert statuses(stack, "/token/a", 3, **clerk) == [200] * 3
    assert get(stack.address(), "/notice") == (200, "second")
    stack.write(text)
    stack.up()
    assert statuses(stack, "/token/a", **clerk) == [403]
