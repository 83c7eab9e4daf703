"""Key sets from a real HTTP server, which behaves and which does not."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloudlet.errors import ProviderFailed
from cloudlet.identity.jwks import LARGEST, KeySets
from cloudlet.stack.identity.trust import STALE, refusal
from tests.support.issuer import SET, Issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    made = await Issuer().start()
    yield made
    await made.stop()


async def test_a_set_is_fetched_and_kept(issuer: Issuer, tmp_path: Path) -> None:
    """The last good one is there when the issuer is away, and for the next cloudlet too."""
    sets = KeySets(tmp_path / "kept")
    assert sets.last(issuer.url) == {}
    assert await sets.fetch(issuer.url) == SET
    await issuer.stop()
    with pytest.raises(ProviderFailed, match="did not answer"):
        await sets.fetch(issuer.url)
    assert KeySets(tmp_path / "kept").last(issuer.url) == SET
    (file,) = (tmp_path / "kept").iterdir()
    assert file.stat().st_mode & 0o077 == 0


async def test_a_set_counts_for_a_day_while_its_issuer_is_away(issuer: Issuer, tmp_path: Path) -> None:
    """Who keeps the issuer from being asked does not keep a key alive that the issuer took back."""
    await KeySets(tmp_path).fetch(issuer.url)
    fetched = time.time()
    assert KeySets(tmp_path, clock=lambda: fetched + STALE - 60).last(issuer.url) == SET
    assert KeySets(tmp_path, clock=lambda: fetched + STALE + 60).last(issuer.url) == {}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("{", 200, "holds no JSON"),
        ("[]", 200, "holds no key set"),
        ("{}", 200, "holds no key set"),
        ('{"keys": {}}', 200, "holds no key set"),
        ("[" * 100_000, 200, "holds no JSON"),
        ("x" * (LARGEST + 1), 200, "more than"),
        ("{}", 404, "answered 404"),
        ("{}", 302, "answered 302"),
    ],
)
async def test_what_is_no_set_changes_nothing(
    issuer: Issuer, tmp_path: Path, body: str, status: int, reason: str
) -> None:
    """Each is told by its reason, and a redirect is not followed."""
    sets = KeySets(tmp_path)
    await sets.fetch(issuer.url)
    issuer.body, issuer.status = body, status
    issuer.headers = {"Location": issuer.url} if status == 302 else {}
    with pytest.raises(ProviderFailed, match=reason):
        await sets.fetch(issuer.url)
    assert sets.last(issuer.url) == SET and issuer.asked == 2


async def test_an_issuer_that_hangs_is_given_up(issuer: Issuer, tmp_path: Path) -> None:
    """After the time that was said."""
    issuer.hang.clear()
    with pytest.raises(ProviderFailed, match="did not answer"):
        await KeySets(tmp_path, timeout=0.1).fetch(issuer.url)


@pytest.mark.parametrize(
    "address",
    ["http://issuer.example/keys", "ftp://127.0.0.1/keys", "file:///etc/passwd", "https://", "http://127.0.0.1.evil/"],
)
async def test_addresses_that_anybody_could_answer_are_not_asked(tmp_path: Path, address: str) -> None:
    """Plain http only on this machine."""
    assert refusal(address)
    with pytest.raises(ProviderFailed, match="is not asked"):
        await KeySets(tmp_path).fetch(address)
    assert not refusal("https://issuer.example/keys") and not refusal("http://[::1]:8080/keys")


async def test_a_file_is_read(tmp_path: Path) -> None:
    """Each time anew; one that is away is said."""
    file = tmp_path / "keys.json"
    with pytest.raises(ProviderFailed, match="cannot be read"):
        await KeySets(tmp_path).fetch(str(file))
    file.write_text(json.dumps(SET))
    assert await KeySets(tmp_path).fetch(str(file)) == SET
