"""Plain HTTP through a running proxy: what arrives outside, and what a hostile client or server gets nowhere with."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.egress.conftest import PATIENCE, answering, credential, destination, ok, split

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"


def request(there, *lines: str, method: str = "POST", path: str = "/", body: bytes = b"") -> bytes:
    head = [f"{method} {there.url}{path} HTTP/1.1", "Host: x", credential(), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


async def test_the_outside_sees_the_request_and_nothing_of_who_asks(start):
    """Origin form, Host from the URL; hop-by-hop fields, those that Connection names, and whatever tells who asks are
    gone, and nothing is added."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        await proxy.get(
            f"{there.url}/a%20b?q=1",
            "X-Own: kept",
            "X-Own: twice",
            "User-Agent: mine",
            "Connection: x-secret, keep-alive",
            "X-Secret: s",
            "Keep-Alive: 1",
            "TE: trailers",
            "Upgrade: h2c",
            "Proxy-Connection: x",
            "Via: 1.1 us",
            "Forwarded: for=10.1.2.3",
            "X-Forwarded-For: 10.1.2.3",
            "X-Forwarded-Anything: y",
            "X-Real-IP: 10.1.2.3",
            "Cloudlet-Route: z",
        )
        sent = ["GET /a%20b?q=1 HTTP/1.1", f"Host: 127.0.0.1:{there.port}", "X-Own: kept", "X-Own: twice"]
        assert there.heads == ["\r\n".join([*sent, "User-Agent: mine", "", ""])]


async def test_answers_come_as_they_are_without_what_was_meant_for_the_proxy(start):
    """Status, reason and fields; a chunked body, one by length, one up to the end, and none at all."""
    proxy = await start()
    answers = (
        b"HTTP/1.1 418 Short and stout\r\nX-A: 1\r\nX-A: 2\r\nProxy-Authenticate: Basic\r\n"
        b"Connection: X-B\r\nX-B: 3\r\nContent-Length: 2\r\n\r\nhi",
        CHUNKED,
        b"HTTP/1.0 200 OK\r\n\r\nup to the end",
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"late"),
    )
    async with destination(answering(*answers)) as there:
        status, body, head = await proxy.get(there.url + "/")
        assert (status, body) == (418, b"hi")
        assert head.split("\r\n")[:3] == ["HTTP/1.1 418 Short and stout", "X-A: 1", "X-A: 2"]
        assert "Proxy-Auth" not in head and "X-B" not in head
        assert b"5\r\nhello\r\n" in (await proxy.get(there.url))[1]
        assert b"up to the end" in (await proxy.get(there.url))[1]
        assert (await proxy.get(there.url))[:2] == (204, b"")
        assert (await proxy.get(there.url))[:2] == (200, b"late")


async def test_a_client_of_http_1_0_gets_a_body_without_chunks(start):
    """It ends with the connection."""
    proxy = await start()
    async with destination(answering(CHUNKED)) as there:
        answer = await proxy.say(f"GET {there.url}/ HTTP/1.0\r\n{credential()}\r\n\r\n".encode())
        assert split(answer)[1] == b"hello world"


async def test_the_answer_to_head_has_a_length_and_no_body(start):
    """And its connection can be used again."""
    proxy = await start()
    async with destination(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as there:
        for _ in range(2):
            status, body, head = await proxy.get(there.url, method="HEAD")
            assert (status, body) == (200, b"") and "Content-Length: 99" in head


async def test_bodies_go_out_by_length_or_in_chunks(start):
    """The bytes are the same; `Expect: 100-continue` is answered at once and goes no further."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        close = "Connection: close"
        await proxy.say(request(there, "Content-Length: 4", close, body=b"abcd"))
        await proxy.say(
            request(there, "Transfer-Encoding: chunked", close, body=b"3;x=y\r\nabc\r\n0\r\nT: trailer\r\n\r\n")
        )
        answer = await proxy.say(request(there, "Content-Length: 1", close, "Expect: 100-continue", body=b"z"))
        assert there.bodies == [b"abcd", b"3\r\nabc\r\n0\r\n\r\n", b"z"]
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
        assert "xpect" not in there.heads[-1]


async def test_one_connection_carries_many_requests_and_keeps_one_to_the_destination(start):
    """Also when the second request was there before the first was answered."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        first, last = (
            request(there, method="GET", path="/1"),
            request(there, "Connection: close", method="GET", path="/2"),
        )
        answer = await proxy.say(first + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert [head.split()[1] for head in there.heads] == ["/1", "/2"]
        assert there.connections == 1


async def test_a_kept_connection_that_the_destination_closed_is_opened_again_for_what_may_be_repeated(start):
    """A GET is sent once more; a POST never is: it gets a connection of its own from the beginning."""
    proxy = await start()

    async def closing(found, reader, writer):
        found.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(ok())
        await writer.drain()

    async with destination(closing) as there:
        last = request(there, "Connection: close", "Content-Length: 0", path="/3")
        answer = await proxy.say(request(there, method="GET") + request(there, method="GET", path="/2") + last)
        assert answer.count(b"200 OK") == 3
        assert len(there.heads) == 3


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: +5"],
        ["Content-Length: 5,5"],
        ["Content-Length: 0x5"],
        ["Content-Length: -1"],
        ["Content-Length: 99999999999999999999"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\x0bchunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        [" Content-Length: 5"],
        ["X: a\r\n folded"],
        ["X: a\nContent-Length: 5"],
        ["X: a\rContent-Length: 5"],
        ["X: a\0b"],
        ["X Y: a"],
        [": empty"],
    ],
)
async def test_a_request_whose_end_could_be_seen_in_two_places_goes_nowhere(start, lines):
    """400, the connection is closed, and nothing of it reaches the destination: no smuggling."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        smuggled = b"0\r\n\r\n" + request(there, method="GET", path="/smuggled")
        answer = await proxy.say(request(there, *lines, body=smuggled))
        assert split(answer)[0] == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        assert there.connections == 0


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5;\n\r\nhello",
    ],
)
async def test_a_badly_chunked_body_is_never_passed_on_as_whole(start, body):
    """The destination sees a connection that breaks off."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        answer = await proxy.say(request(there, "Transfer-Encoding: chunked", body=body))
        assert split(answer)[0] == 400
        assert there.bodies == []


async def test_what_follows_a_chunked_body_in_the_same_breath_is_not_answered(start):
    """The connection ends instead: a client that means it asks again."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        more = b"3\r\nabc\r\n0\r\n\r\n" + request(there, method="GET", path="/more")
        answer = await proxy.say(request(there, "Transfer-Encoding: chunked", body=more))
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        assert len(there.heads) == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: good.test\r\nX\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: good.test\r\nCREDENTIAL\r\n\r\n", 400),
        (b"GET https://good.test/ HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 400),
        (b"GET ftp://good.test/ HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 400),
        (b"GET http://good.test/#part HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 400),
        (b"GET http://good.test/ HTTP/2.0\r\nCREDENTIAL\r\n\r\n", 505),
        (b"GET http://good.test/\r\n\r\n", 505),
        (b"TRACE http://good.test/ HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 405),
        (b"CONNECT good.test HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 400),
        (b"CONNECT http://good.test:80/ HTTP/1.1\r\nCREDENTIAL\r\n\r\n", 400),
        (b"CONNECT good.test:443 HTTP/1.1\r\nContent-Length: 5\r\nCREDENTIAL\r\n\r\nhello", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET http://good.test/ HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\nCREDENTIAL\r\n\r\n", 431),
        (b"GET http://good.test/ HTTP/1.1\r\n" + b"X: a\r\n" * 300 + b"CREDENTIAL\r\n\r\n", 431),
    ],
)
async def test_what_is_no_request_for_a_proxy_is_answered_with_the_reason(start, raw, status):
    """Origin form, other schemes, fragments, TLS, heads too large: an answer, then the end."""
    proxy = await start()
    answer = await proxy.say(raw.replace(b"CREDENTIAL", credential().encode()))
    assert split(answer)[0] == status
    assert b"cloudlet-egress: " in answer
    assert proxy.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    ],
)
async def test_an_answer_that_is_not_well_formed_becomes_a_502(start, answer):
    """The service hears that the destination is to blame, not half of what it said."""
    proxy = await start()

    async def saying(found, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    async with destination(saying) as there:
        status, _, head = await proxy.get(there.url)
        assert status == 502
        assert "error=http_protocol_error" in head or "error=connection_terminated" in head


async def test_an_answer_that_breaks_off_does_not_look_whole(start):
    """By length and in chunks: the client's connection is reset, and the log says why."""
    proxy = await start()
    cut = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    )

    async def cutting(found, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(cut[found.connections - 1])
        await writer.drain()

    async with destination(cutting) as there:
        for count in (1, 2):
            try:
                answer = await proxy.say(request(there, method="GET"))
            except ConnectionResetError:
                answer = b""
            assert not answer.endswith(b"\r\n0\r\n\r\n")
            assert "broke off" in (await proxy.entries(count))[-1]["error"]


async def test_what_a_destination_sends_beside_its_answer_is_given_to_nobody(start):
    """A second answer that nobody asked for (response splitting) is thrown away with its connection."""
    proxy = await start()

    async def talkative(found, reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(b"mine") + ok(b"poison"))
            await writer.drain()

    async with destination(talkative) as there:
        answer = await proxy.say(request(there, method="GET") + request(there, "Connection: close", method="GET"))
        assert answer.count(b"mine") == 2
        assert b"poison" not in answer
        assert there.connections == 2


async def test_a_slow_head_is_given_up_and_a_silent_client_let_go(start):
    """408 for a head that comes by drops; a connection on which nothing was asked just ends."""
    proxy = await start(head_within=0.3, keep=0.3)
    reader, writer = await proxy.open()
    writer.write(b"GET http://good.test/ HT")
    async with asyncio.timeout(PATIENCE):
        assert split(await reader.read())[0] == 408
        silent, other = await proxy.open()
        assert await silent.read() == b""
    writer.close()
    other.close()
    assert [entry["status"] for entry in await proxy.entries(1)] == [408]


async def test_a_server_that_says_nothing_is_given_up(start):
    """504 after the time that an answer may stand still."""
    proxy = await start(idle=0.3)

    async def mute(found, reader, writer):
        await reader.read()

    async with destination(mute) as there:
        status, _, head = await proxy.get(there.url)
        assert (status, "http_response_timeout" in head) == (504, True)


async def test_a_client_that_leaves_takes_its_request_along(start):
    """The destination's connection ends too: nobody works for nobody."""
    proxy = await start()
    gone, come = asyncio.Event(), asyncio.Event()

    async def waiting(found, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        come.set()
        try:
            await reader.read()
        finally:
            gone.set()

    async with destination(waiting) as there:
        _, writer = await proxy.open()
        writer.write(request(there, method="GET"))
        async with asyncio.timeout(PATIENCE):
            await come.wait()
            writer.close()
            await gone.wait()


async def test_a_large_body_passes_both_ways_and_a_slow_reader_holds_the_sender_back(start):
    """The proxy keeps a few hundred kilobytes at most, whatever the size."""
    proxy = await start()
    size, sent = 32_000_000, 0
    reading = asyncio.Event()

    async def flooding(found, reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    async with destination(flooding) as there:
        reader, writer = await proxy.open()
        writer.write(request(there, method="GET"))
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            before = -1
            while before != sent:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert sent < size
            reading.set()
            assert len(await reader.readexactly(size)) == size
        assert head.startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_name_without_an_address_and_a_port_without_a_server_are_told_apart(start):
    """By status, text and the error type of RFC 9209."""
    proxy = await start()
    status, body, head = await proxy.get("http://none.good.test/")
    assert (status, "error=dns_error" in head) == (502, True)
    assert b"none.good.test has no address" in body
    status, _, head = await proxy.get("http://127.0.0.1:9/")
    assert (status, "error=connection_refused" in head) == (502, True)


async def test_one_service_cannot_take_the_places_of_the_others(start):
    """Beyond its share 503 with Retry-After; another service still gets through."""
    from cloudlet.stack.egress import Rules

    rules = {"orders": Rules(allow=("127.0.0.1",)), "mailer": Rules(allow=("127.0.0.1",))}
    proxy = await start(rules, most=4, most_of_one=2)

    async def holding(found, reader, writer):
        await reader.read()

    async with destination(holding) as there:
        open_ones = [await proxy.connect(f"127.0.0.1:{there.port}") for _ in range(2)]
        assert [status for status, _, _ in open_ones] == [200, 200]
        assert (await proxy.connect(f"127.0.0.1:{there.port}"))[0] == 503
        status, _, writer = await proxy.connect(f"127.0.0.1:{there.port}", service="mailer")
        assert status == 200
        fourth, other = await proxy.open()
        assert b" 503 " in await proxy.say(b"")
        for each in (writer, other, *(writer for _, _, writer in open_ones)):
            each.close()
        assert fourth is not None
