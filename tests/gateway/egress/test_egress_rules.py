"""Who may reach what, asked of a running proxy with every trick by which an address can be hidden."""

from __future__ import annotations

import pytest

from cloudlet.stack.egress import Rules
from tests.gateway.egress.conftest import LOOPBACK, SECRET, answering, credential, destination, ok, split


async def test_an_allowed_destination_answers_and_any_other_is_refused_with_the_reason(start):
    """The reason stands in the answer and in Proxy-Status; the destination sees nothing of the refused one."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        assert (await proxy.get(f"{there.url}/x"))[:2] == (200, b"hello")
        status, body, head = await proxy.get("http://elsewhere.test/")
        assert status == 403
        assert b"orders \xe2\x86\x92 elsewhere.test:80: allowed by no rule" in body
        assert "Proxy-Status: cloudlet-egress; error=http_request_denied" in head
        assert there.connections == 1
    assert proxy.asked == [], "a name that no rule allows is not even looked up"


async def test_names_are_allowed_themselves_or_below_a_domain_in_any_case_and_with_a_trailing_dot(start):
    """`GOOD.Test.` is good.test; bad-good.test is not below it."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        for host in ("good.test", "GOOD.Test", "good.test.", "deep.good.test"):
            assert (await proxy.get(f"http://{host}:{there.port}/"))[0] == 200, host
        for host in ("bad-good.test", "good.test.evil.example", "test", "good.testx"):
            assert (await proxy.get(f"http://{host}:{there.port}/"))[0] == 403, host


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01", "127.0.0.1.1", "1.2.3.0x4"),
        *(
            "good.test..",
            ".good.test",
            "good..test",
            "good_test!",
            "%67ood.test",
            "good.test%2eevil.example",
            "gööd.test",
        ),
        *("[::1", "[::1]x", "[fe80::1%25eth0]", "[127.0.0.1]", "[v1.x]", "good.test\\@evil.example", ""),
        *(
            "orders@good.test",
            "good.test:80@evil.example",
            "good.test:",
            "good.test:0",
            "good.test:65536",
            "good.test:+80",
        ),
        *("good.test:80:80", "good.test:８０"),
    ],
)
async def test_a_host_that_could_be_read_in_two_ways_is_refused(start, host):
    """Addresses in disguise, users before the host, ports that are none: 400, and nothing is looked up."""
    proxy = await start({"orders": Rules(allow=("*", LOOPBACK))})
    assert (await proxy.get(f"http://{host}/".encode().decode("latin-1")))[0] == 400
    port = "" if ":" in host else ":80"
    authority = f"{host}{port}".encode()
    raw = b"CONNECT " + authority + b" HTTP/1.1\r\nHost: x\r\n" + credential().encode() + b"\r\n\r\n"
    assert split(await proxy.say(raw))[0] == 400
    assert proxy.asked == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[fe80::1]"),
        *("[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[::7f00:1]", "[ff02::1]"),
        *("inside.test", "metadata.test", "six.test", "mixed.test"),
    ],
)
async def test_what_lies_inside_is_not_opened_by_a_rule_for_everything(start, host):
    """`*` is the public internet: loopback, private, link-local and translated addresses stay closed, by name too."""
    proxy = await start({"orders": Rules(allow=("*",))})
    status, body, head = await proxy.get(f"http://{host}/")
    assert (status, "destination_ip_prohibited" in head) == (403, True)
    assert b"not on the public internet" in body


async def test_a_network_opens_what_lies_inside_for_allowed_names_and_addresses(start):
    """Of several addresses only those that are allowed are tried; a name still needs a rule of its own."""
    proxy = await start({"orders": Rules(allow=("mixed.test", "127.0.0.1"))})
    async with destination(answering(ok())) as there:
        assert (await proxy.get(f"http://mixed.test:{there.port}/"))[0] == 200
        assert (await proxy.get(f"http://[::ffff:127.0.0.1]:{there.port}/"))[0] == 200
        assert (await proxy.get(f"http://good.test:{there.port}/"))[0] == 403
        assert (await proxy.get(f"http://127.0.0.2:{there.port}/"))[0] == 403


async def test_denied_wins_over_allowed_by_name_and_by_the_address_that_a_name_leads_to(start):
    """One denied address among several denies the destination."""
    rules = Rules(allow=("*", LOOPBACK), deny=("*.good.test", "127.0.0.9", "10.0.0.0/8"))
    proxy = await start({"orders": rules})
    async with destination(answering(ok())) as there:
        assert (await proxy.get(f"http://good.test:{there.port}/"))[0] == 200
        assert b'denied by "*.good.test"' in (await proxy.get(f"http://deep.good.test:{there.port}/"))[1]
        assert b'denied by "127.0.0.9"' in (await proxy.get(f"http://127.0.0.9:{there.port}/"))[1]
        assert b'10.0.0.7 is denied by "10.0.0.0/8"' in (await proxy.get(f"http://mixed.test:{there.port}/"))[1]


async def test_a_port_in_a_rule_binds_and_mail_needs_one(start):
    """`host:port` allows that port; port 25 is allowed by no rule that does not name it."""
    async with destination(answering(ok())) as there:
        proxy = await start({"orders": Rules(allow=("good.test", f"127.0.0.1:{there.port}", "127.0.0.1:25"))})
        assert (await proxy.get(f"http://good.test:{there.port}/"))[0] == 200
        assert (await proxy.get(f"http://127.0.0.1:{there.port + 1}/"))[0] == 403
        assert b"port 25 is allowed by no rule that names it" in (await proxy.get("http://good.test:25/"))[1]
        status, body, _ = await proxy.get("http://127.0.0.1:25/")
        assert (status, b"refuses the connection" in body) == (502, True)


async def test_the_address_that_was_judged_is_the_one_connected_to(start):
    """DNS rebinding: a second answer of the resolver is never asked for, let alone used."""
    answers = {"turning.test": ["127.0.0.1"]}
    proxy = await start({"orders": Rules(allow=("turning.test", "127.0.0.1"))}, names=answers)
    async with destination(answering(ok())) as there:
        assert (await proxy.get(f"http://turning.test:{there.port}/"))[0] == 200
        assert proxy.asked == ["turning.test"]
        (entry,) = await proxy.entries(1)
        assert entry["address"] == "127.0.0.1"


async def test_each_service_has_rules_of_its_own_and_nobody_else_has_any(start):
    """No credential, a wrong one, one in the wrong scheme, or two of them: 407 and a line in the log."""
    proxy = await start({"orders": Rules(allow=(LOOPBACK,)), "mailer": Rules()})
    async with destination(answering(ok())) as there:
        assert (await proxy.get(f"{there.url}/"))[0] == 200
        assert (await proxy.get(f"{there.url}/", service="mailer"))[0] == 403
        assert (await proxy.get(f"{there.url}/", service="nobody"))[0] == 407
        for line in (
            "",
            credential(secret="wrong"),
            credential().replace("Basic", "Bearer"),
            "Proxy-Authorization: Basic §",
        ):
            raw = f"GET {there.url}/ HTTP/1.1\r\nHost: x\r\n{line}{chr(13) + chr(10) if line else ''}\r\n"
            status, _, head = split(await proxy.say(raw.encode()))
            assert (status, "Proxy-Authenticate: Basic" in head) == (407, True)
        assert (await proxy.get(f"{there.url}/", credential()))[0] == 407
        assert there.connections == 1
    entries = await proxy.entries(8)
    assert [entry.get("service") for entry in entries[1:4]] == ["mailer", None, None]
    assert SECRET not in str(entries)


async def test_the_log_has_no_query_no_credential_and_refusals_only_when_asked(start):
    """A line for each request, with the path but not its query; `log: refused` keeps what was refused."""
    proxy = await start()
    async with destination(answering(ok())) as there:
        await proxy.get(f"{there.url}/a/b?token=hush", "Authorization: Bearer hush")
        (entry,) = await proxy.entries(1)
        assert {key: entry[key] for key in ("service", "method", "destination", "path", "status")} == {
            "service": "orders",
            "method": "GET",
            "destination": f"127.0.0.1:{there.port}",
            "path": "/a/b",
            "status": 200,
        }
        assert entry["received"] > 0 and entry["seconds"] >= 0
        assert "hush" not in str(entry)
        quiet = await start(log_all=False)
        await quiet.get(f"{there.url}/")
        await quiet.get('http://else"where.test/')
        await quiet.get("http://elsewhere.test/x")
        entries = await quiet.entries(2)
        assert [entry["status"] for entry in entries] == [400, 403]
        assert entries[1]["refused"] == "allowed by no rule"
