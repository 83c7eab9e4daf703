"""Outbound rules, decided: properties over all addresses, and the order of what decides."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.egress import Rulebook, is_public
from cloudlet.stack.destinations import parse_destination, parse_host
from cloudlet.stack.findings import Fault

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


def book(allow=(), deny=(), own=lambda _: False) -> Rulebook:
    return Rulebook(tuple(map(parse_destination, allow)), tuple(map(parse_destination, deny)), own)


@given(V4)
def test_no_special_ipv4_address_is_public(address):
    """Whatever Python knows to be private, local, reserved or for many is not public."""
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    if special or address.is_reserved or address.is_unspecified:
        assert not is_public(address)


@given(V4)
def test_ipv4_in_other_clothes_is_judged_alike(address):
    """Mapped (::ffff:a.b.c.d) and translated (64:ff9b::a.b.c.d)."""
    assert is_public(IPv6Address(0xFFFF00000000 | int(address))) == is_public(address)
    assert is_public(IPv6Address((0x64FF9B << 96) | int(address))) == is_public(address)


@given(V6)
def test_no_special_ipv6_address_is_public(address):
    """As for IPv4; besides, only global unicast is."""
    if is_public(address):
        embedded = address.ipv4_mapped or (address in IPv6Network64 and IPv4Address(int(address) & 0xFFFFFFFF))
        assert embedded or not (address.is_private or address.is_link_local or address.is_multicast)


class _Nat64:
    def __contains__(self, address: IPv6Address) -> bool:
        return int(address) >> 32 == 0x64FF9B << 64


IPv6Network64 = _Nat64()


@given(V4 | V6, st.integers(1, 65535))
def test_nothing_is_allowed_without_a_rule_and_what_is_denied_never(address, port):
    """Whatever else is allowed."""
    assert not book().admits(address, port).allowed
    denying = book(["*", "*:25", str(address) if address.version == 4 else f"[{address}]"], ["0.0.0.0/0", "::/0"])
    assert not denying.admits(address, port).allowed
    assert not denying.choose(port, [address]).verdict.allowed


@given(V4 | V6, st.integers(1, 65535).filter(lambda port: port != 25))
def test_everything_is_the_public_internet_and_no_more(address, port):
    """`*` opens exactly what is public and not this machine's own."""
    assert book(["*"]).choose(port, [address]).verdict.allowed == is_public(address)
    assert not book(["*"], own=lambda _: True).choose(port, [address]).verdict.allowed


def test_an_address_of_this_machine_needs_a_network_though_it_looks_public():
    """What listens on all addresses is otherwise reached by the outer one."""
    mine = ip_address("8.8.4.4")
    assert not book(["*"], own=lambda address: address == mine).choose(443, [mine]).verdict.allowed
    assert book(["8.8.4.4"], own=lambda address: address == mine).choose(443, [mine]).verdict.allowed


def test_of_several_addresses_those_that_are_open_are_tried_in_their_order():
    """A closed one among them is left out, a denied one closes all."""
    found = [ip_address(text) for text in ("10.0.0.1", "1.1.1.1", "127.0.0.1", "8.8.8.8")]
    assert book(["*"]).choose(443, found).addresses == (found[1], found[3])
    assert book(["*", "10.0.0.0/8:443"]).choose(443, found).addresses == (found[0], found[1], found[3])
    assert not book(["*"], ["8.8.8.0/24"]).choose(443, found).verdict.allowed
    assert book(["*"], ["8.8.8.0/24:80"]).choose(443, found).verdict.allowed


def test_a_denial_without_a_port_denies_mail_too():
    """Though a rule that allows without a port does not allow it."""
    assert book(["a.test:25"]).admits("a.test", 25).allowed
    assert not book(["a.test"]).admits("a.test", 25).allowed
    assert not book(["a.test:25"], ["a.test"]).admits("a.test", 25).allowed


@given(st.text(max_size=40))
def test_whatever_is_read_as_a_host_reads_the_same_again(text):
    """The one form of a host is stable, and nothing but a Fault is ever raised."""
    try:
        host = parse_host(text)
    except Fault:
        return
    again = f"[{host}]" if isinstance(host, IPv6Address) else str(host)
    assert parse_host(again) == host


@pytest.mark.parametrize(
    ("text", "port"),
    [
        *(
            ("a.test", None),
            ("*.a.test:443", 443),
            ("*", None),
            ("*:25", 25),
            ("1.2.3.0/24:80", 80),
            ("2001:db8::/32", None),
        ),
        *(("[2001:db8::1]:443", 443), ("[2001:db8::/32]:443", 443), ("2001:db8::1", None), ("[::1]", None)),
    ],
)
def test_patterns_carry_their_port(text, port):
    """Bare IPv6 has none; in brackets it may."""
    assert parse_destination(text).port == port
