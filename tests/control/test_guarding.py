"""What the edge checks credentials by, from the file and its secrets, kept up to date while others change."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk

from cloudlet.contracts.guard import Guard
from cloudlet.contracts.paths import StatePaths
from cloudlet.control.guarding import REFRESH, Guarding
from cloudlet.control.journal import Journal
from cloudlet.control.store import Store
from cloudlet.errors import OperatorError
from cloudlet.identity.basic import hash_of
from cloudlet.identity.secrets import Secrets
from cloudlet.stack import parse
from tests.support.issuer import Issuer

TEXT = """
name: shop
services: {orders: {command: python3}}
identity:
  api_keys: {header: X-Key}
  jwt:
    far: {jwks: "%s", issuer: "https://issuer.test", audience: shop}
    own: {secret: "${secret:own}", leeway: 5s}
  basic: {team: {users: {alice: {password: "${secret:alice}", roles: staff}}}}
  roles: {admin: {includes: buyer}}
  policies: {own: {claims: {sub: "{id}"}, unless_roles: admin}}
gateway:
  deny: {file: bad.txt}
  routes:
    - {path: "/o/{id}", to: orders, require: {jwt: [far, own], basic: team, api_key: true}}
"""


def key_set(*kids: str) -> str:
    made = (jwk.ECKey.import_key(_public()).as_dict(private=False) for _ in kids)
    return json.dumps({"keys": [{**key, "kid": kid} for key, kid in zip(made, kids, strict=True)]})


def _public() -> bytes:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(serialization.Encoding.PEM, form)


class Known:
    """A guarding on a state of its own, beside a key set's server."""

    def __init__(self, folder: Path, issuer: Issuer) -> None:
        self.file, self.issuer = folder / "cloudlet.yaml", issuer
        self.bad = folder / "bad.txt"
        self.bad.write_text("10.0.0.0/8 # inside\n\n2001:db8::1\n")
        self.paths = StatePaths.beside(self.file)
        self.paths.create()
        self.secrets = Secrets(self.paths.secrets)
        self.secrets.replace("own", "s" * 40)
        self.secrets.replace("alice", "wonderland")
        self.store = Store(self.paths.database)
        self.journal = Journal(self.store)
        self.guarding = Guarding(self.paths, self.secrets, self.journal)

    async def load(self, text: str = "") -> Guard:
        stack = parse(text or TEXT % self.issuer.url, self.file)
        self.guarding.accept(await self.guarding.prepare(stack))
        return self.guard

    @property
    def guard(self) -> Guard:
        return self.guarding.guard((), "127.0.0.1:1")

    def kids(self) -> list[str | None]:
        return [key.kid for key in self.guard.jwt["far"].keys]

    def events(self) -> list[str]:
        return [f"{entry.level} {entry.subject} {entry.event} {entry.because}" for entry in self.store.events()]


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Known]:
    issuer = await Issuer().start()
    issuer.body = key_set("one")
    made = Known(tmp_path, issuer)
    yield made
    made.store.close()
    await issuer.stop()


async def test_the_file_becomes_a_guard(known: Known) -> None:
    """Secrets are resolved, keys fetched, passwords hashed by this stack's own salt, lists read."""
    guard = await known.load()
    assert known.kids() == ["one"] and guard.jwt["far"].asks and guard.jwt["far"].keys[0].algorithms == ("ES256",)
    assert guard.jwt["own"].keys[0].secret == "s" * 40 and not guard.jwt["own"].asks
    users = guard.basic["team"]
    assert users.users[hash_of(users.salt, "team", "alice", "wonderland")] == ("alice", ("staff",))
    assert guard.key_header == "X-Key" and guard.roles == {"admin": ("buyer",)}
    assert guard.networks == {str(known.bad): ("10.0.0.0/8", "2001:db8::1/128")}
    assert guard.ask_secret and guard == known.guard
    for secret in ("s" * 40, "wonderland", guard.ask_secret, users.salt):
        assert secret not in repr(guard)


async def test_a_changed_list_counts_and_a_broken_one_does_not(known: Known) -> None:
    """The broken line is told with its number, and the last good list goes on."""
    await known.load()
    assert not await known.guarding.look(time.monotonic())
    known.bad.write_text("192.0.2.0/24\n::ffff:198.51.100.7\n")
    assert await known.guarding.look(time.monotonic())
    good = ("192.0.2.0/24", "198.51.100.7/32")
    assert known.guard.networks[str(known.bad)] == good
    known.bad.write_text("192.0.2.0/24\n# fine\n10.0.0.0/99\n")
    assert not await known.guarding.look(time.monotonic())
    assert known.guard.networks[str(known.bad)] == good
    assert any(f"{known.bad}:3:" in event and event.startswith("error") for event in known.events())
    known.bad.unlink()
    assert not await known.guarding.look(time.monotonic())
    assert known.guard.networks[str(known.bad)] == good
    known.bad.write_text("")
    assert await known.guarding.look(time.monotonic()) and known.guard.networks[str(known.bad)] == ()


async def test_keys_rotate_with_the_issuer_and_outlive_its_failures(known: Known) -> None:
    """A new set is taken when it is due; an issuer that is away, or answers nonsense, takes nothing away."""
    await known.load()
    known.issuer.body = key_set("one", "two")
    assert not await known.guarding.look(time.monotonic())
    assert await known.guarding.look(time.monotonic() + REFRESH)
    assert known.kids() == ["one", "two"]
    known.issuer.status = 500
    assert not await known.guarding.look(time.monotonic() + 2 * REFRESH)
    assert known.kids() == ["one", "two"]
    assert any("key set not fetched" in event and "500" in event for event in known.events())
    await known.issuer.stop()
    again = Guarding(known.paths, known.secrets, known.journal)
    again.accept(await again.prepare(parse(TEXT % known.issuer.url, known.file)))
    assert [key.kid for key in again.guard((), "").jwt["far"].keys] == ["one", "two"]


async def test_an_issuer_that_never_answered_does_not_stop_the_stack(known: Known) -> None:
    """Its tokens are asked for at cloudlet-gateway until it does."""
    await known.issuer.stop()
    await known.load()
    assert known.kids() == [] and known.guard.jwt["far"].asks


@pytest.mark.parametrize(
    ("secret", "value", "reason"),
    [("own", "short", "has 5 bytes"), ("own", None, 'there is no secret "own"'), ("alice", None, "no secret")],
)
async def test_secrets_that_cannot_be_used_refuse_the_file(
    known: Known, secret: str, value: str | None, reason: str
) -> None:
    """Before anything is changed: what counted goes on counting."""
    before = await known.load()
    known.secrets.replace(secret, value) if value else known.secrets.delete(secret)
    with pytest.raises(OperatorError, match=reason):
        await known.load()
    assert known.guard == before


async def test_key_files_are_read_again(known: Known) -> None:
    """A changed PEM counts; one that breaks is told, and the last good one goes on."""
    pem = known.file.with_name("issuer.pem")
    pem.write_bytes(_public())
    text = TEXT.replace('jwks: "%s"', "keys: issuer.pem")
    first = (await known.load(text)).jwt["far"].keys
    pem.write_bytes(_public() + _public())
    assert await known.guarding.look(time.monotonic())
    second = known.guard.jwt["far"].keys
    assert len(second) == 2 and first[0] not in second
    pem.write_bytes(b"nonsense")
    assert not await known.guarding.look(time.monotonic())
    assert known.guard.jwt["far"].keys == second
    assert any("no PUBLIC KEY" in event for event in known.events())
