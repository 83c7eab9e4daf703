"""Answers to plain HTTP that are kept: what RFC 9111 lets a shared cache give again, and what it must not."""

from __future__ import annotations

import contextlib
import time
from email.utils import formatdate

import pytest

from cloudlet.gateway.egress import freshness
from cloudlet.stack.egress import Rules
from tests.gateway.egress.conftest import answering, destination, ok

SIZE = 1_000_000
FRESH = b"Cache-Control: max-age=60"
OLD = formatdate(time.time() - 3600, usegmt=True).encode()
LATER = formatdate(time.time() + 3600, usegmt=True).encode()


async def asked_twice(start, answer: bytes, *fields: str, second: tuple[str, ...] | None = None) -> int:
    """How often the destination was asked when a client asks twice."""
    proxy = await start(cache=SIZE)
    async with destination(answering(answer)) as there:
        for lines in (fields, fields if second is None else second):
            status, body, _ = await proxy.get(f"{there.url}/x", *lines)
            assert (status, body) == (200, b"hello")
        return len(there.heads)


@pytest.mark.parametrize(
    "fields",
    [
        [FRESH],
        [b"Cache-Control: public, s-maxage=60, max-age=0"],
        [b"Cache-Control: MAX-AGE=60"],
        [b'Cache-Control: x="a, no-store", max-age="60"'],
        [b"Expires: " + LATER],
        [FRESH, b"Age: 10"],
        [FRESH, b"Vary: Accept-Language"],
        [FRESH, b"Expires: " + OLD],
    ],
)
async def test_a_fresh_answer_is_given_again(start, fields):
    """The destination is asked once."""
    assert await asked_twice(start, ok(b"hello", *fields)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [b"Last-Modified: " + OLD],
        [b"Cache-Control: no-store, max-age=60"],
        [b"Cache-Control: private, max-age=60"],
        [b'Cache-Control: max-age=60, private="x"'],
        [b"Cache-Control: no-cache, max-age=60"],
        [b"Cache-Control: max-age=60, max-age=0"],
        [b"Cache-Control: max-age=60, s-maxage=0"],
        [b"Cache-Control: max-age=-60"],
        [b"Cache-Control: max-age=soon"],
        [b"Expires: " + OLD],
        [b"Expires: 0"],
        [FRESH, b"Age: 60"],
        [FRESH, b"Date: " + OLD],
        [FRESH, b"Vary: *"],
        [FRESH, b"Vary: Accept, *"],
        [FRESH, b"Set-Cookie: a=b"],
    ],
)
async def test_an_answer_that_is_not_for_everybody_or_not_fresh_is_asked_for_again(start, fields):
    """The destination is asked twice."""
    assert await asked_twice(start, ok(b"hello", *fields)) == 2


@pytest.mark.parametrize(
    ("first", "second", "times"),
    [
        (["Authorization: Bearer x"], None, 2),
        (["Cookie: a=b"], None, 2),
        (["Cache-Control: no-store"], None, 2),
        ([], ["Cache-Control: no-cache"], 2),
        ([], ["Pragma: no-cache"], 2),
        ([], ["Cache-Control: max-age=0, min-fresh=1"], 2),
        ([], ["Cache-Control: min-fresh=61"], 2),
        ([], ["Range: bytes=0-1"], 2),
        ([], ["Authorization: Bearer x"], 1),
        ([], ["Cache-Control: max-age=30"], 1),
    ],
)
async def test_what_a_client_says_counts(start, first, second, times):
    """Its own no-store, no-cache, max-age and min-fresh; personal requests are not kept."""
    assert await asked_twice(start, ok(b"hello", FRESH), *first, second=second and tuple(second)) == times


async def test_an_answer_to_a_personal_request_is_kept_where_it_says_so(start):
    """`public` allows it (RFC 9111, 3.5)."""
    answer = ok(b"hello", b"Cache-Control: public, max-age=60")
    assert await asked_twice(start, answer, "Authorization: Bearer x") == 1


async def test_variants_are_told_apart_by_what_vary_names(start):
    """A German answer is not given to who asks for a French one, and both are kept."""
    proxy = await start(cache=SIZE)
    answers = [ok(word, FRESH, b"Vary: Accept-Language") for word in (b"hallo", b"salut")]
    async with destination(answering(*answers)) as there:
        for _ in range(2):
            assert (await proxy.get(there.url, "Accept-Language: de"))[1] == b"hallo"
            assert (await proxy.get(there.url, "Accept-Language: fr"))[1] == b"salut"
        assert len(there.heads) == 2


async def test_a_kept_answer_says_its_age_and_is_asked_for_anew_by_its_validator(start):
    """A 304 makes it fresh again with what it says; another variant's validator is never sent."""
    proxy = await start(cache=SIZE)
    answers = (
        ok(b"one", b"Cache-Control: max-age=0", b'ETag: "1"', b"X-Version: 1"),
        b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=60\r\nX-Version: 2\r\nAge: 7\r\n\r\n',
        ok(b"two"),
    )
    async with destination(answering(*answers)) as there:
        await proxy.get(there.url)
        status, body, head = await proxy.get(there.url)
        assert (status, body) == (200, b"one")
        assert "X-Version: 2" in head and "X-Version: 1" not in head
        assert 'If-None-Match: "1"' in there.heads[1]
        assert int(head.split("Age: ")[1].split("\r")[0]) in (7, 8)
        assert (await proxy.get(there.url))[1] == b"one"
        assert len(there.heads) == 2
        assert [entry.get("cache") for entry in await proxy.entries(3)] == ["stored", "revalidated", "hit"]


async def test_a_client_that_has_it_already_is_told_so(start):
    """If-None-Match against what is kept: 304 without a body, weak tags alike."""
    proxy = await start(cache=SIZE)
    async with destination(answering(ok(b"hello", FRESH, b'ETag: "a"'))) as there:
        await proxy.get(there.url)
        assert (await proxy.get(there.url, 'If-None-Match: "b", W/"a"'))[:2] == (304, b"")
        assert (await proxy.get(there.url, 'If-None-Match: "b"'))[:2] == (200, b"hello")
        assert len(there.heads) == 1


async def test_a_change_through_the_proxy_forgets_what_was_kept(start):
    """A POST that succeeds to the same address (RFC 9111, 4.4)."""
    proxy = await start(cache=SIZE)
    async with destination(answering(ok(b"old", FRESH), ok(b"done"), ok(b"new", FRESH))) as there:
        assert (await proxy.get(there.url))[1] == b"old"
        await proxy.get(there.url, "Content-Length: 0", method="POST")
        assert (await proxy.get(there.url))[1] == b"new"


async def test_only_if_cached_never_goes_outside(start):
    """504 where nothing is kept."""
    proxy = await start(cache=SIZE)
    async with destination(answering(ok())) as there:
        assert (await proxy.get(there.url, "Cache-Control: only-if-cached"))[0] == 504
        assert there.connections == 0


async def test_rules_hold_for_what_is_kept_too(start):
    """A service that may not reach the destination, or not the address it was had from, gets nothing of it."""
    rules = {
        "orders": Rules(allow=("good.test", "127.0.0.0/8")),
        "mailer": Rules(),
        "reports": Rules(allow=("good.test",)),
    }
    proxy = await start(rules, cache=SIZE)
    async with destination(answering(ok(b"hello", FRESH))) as there:
        url = f"http://good.test:{there.port}/"
        assert (await proxy.get(url))[0] == 200
        assert (await proxy.get(url, service="mailer"))[0] == 403
        assert (await proxy.get(url, service="reports"))[0] == 403
        assert len(there.heads) == 1


async def test_the_memory_is_bounded_and_the_least_used_goes_first(start):
    """No answer takes more than an eighth of it; without `cache` nothing is kept."""
    proxy = await start(cache=80_000)
    async with destination(answering(ok(b"x" * 9_000, FRESH))) as there:
        for number in [*range(7), 0, *range(7, 12), 0, 1]:
            await proxy.get(f"{there.url}/{number}")
        paths = [head.split()[1] for head in there.heads]
        assert paths.count("/0") == 1, "it was used all the time"
        assert paths.count("/1") == 2, "it was not"
    async with destination(answering(ok(b"x" * 20_000, FRESH))) as there:
        for _ in range(2):
            await proxy.get(there.url)
        assert len(there.heads) == 2
    plain = await start()
    async with destination(answering(ok(b"hello", FRESH))) as there:
        for _ in range(2):
            await plain.get(there.url)
        assert len(there.heads) == 2


async def test_an_answer_that_breaks_off_is_not_kept(start):
    """Half an answer is given to nobody a second time."""
    proxy = await start(cache=SIZE)
    cut = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 50\r\n\r\nhello"

    async def once(found, reader, writer):
        found.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(cut if found.connections == 1 else ok(b"whole", FRESH))
        await writer.drain()

    async with destination(once) as there:
        with contextlib.suppress(ConnectionResetError, IndexError):
            await proxy.get(there.url)
        assert (await proxy.get(there.url))[1] == b"whole"


def test_ages_follow_the_formula_of_rfc_9111():
    """The greater of what `Date` and what `Age` say, with the time the answer took (4.2.3)."""
    date = formatdate(1000, usegmt=True).encode()
    assert freshness.first_age([(b"Date", date)], asked=1010.0, answered=1012.0) == 12.0
    assert freshness.first_age([(b"Date", date), (b"Age", b"20")], asked=1010.0, answered=1012.0) == 22.0
    assert freshness.first_age([(b"Age", b"-5")], asked=0.0, answered=0.0) == 0.0
    assert freshness.lifetime([(b"Cache-Control", b"max-age=99999999999")], 0.0) == 2**31
