"""API keys: what is shown once, what is kept, and how one follows the other."""

from __future__ import annotations

import hashlib

import pytest

from cloudlet.errors import OperatorError, Refused
from cloudlet.identity import keys


def test_only_the_hash_of_a_key_is_kept() -> None:
    """The text has the id and 256 random bits; nothing that is kept gives it back."""
    text, key = keys.issue("billing", ["reader"], ["orders:read"], 60.0, 1000, 5.0)
    prefix, key_id, secret = text.split("_", 2)
    assert (prefix, key_id) == ("clk", key.record.id) and len(secret) == 43
    assert key.record.hash == hashlib.sha256(text.encode()).hexdigest()
    assert secret not in repr(key) and key.record.hash not in repr(key)
    assert key.record.expires == 65.0 and key.good(64.9) and not key.good(65.0)
    assert keys.issue("billing", [], [], None, 0, 5.0)[0] != text


def test_a_rotated_key_counts_beside_its_successor() -> None:
    """For the overlap and no longer; a second rotation does not prolong the first's."""
    _, first = keys.issue("billing", ["reader"], [], None, 0, 0.0)
    _, both = keys.rotate([first], first.record.id, 100.0, 7, 10.0)
    old, new = both
    assert old.record.expires == 110.0 and new.record.expires is None and new.by == 7
    assert new.record.roles == ("reader",) and new.record.id == first.record.id
    _, three = keys.rotate(both, first.record.id, 1000.0, 7, 50.0)
    assert [key.record.expires for key in three] == [110.0, 1050.0, None]
    _, now = keys.rotate(both, first.record.id, 0.0, 7, 60.0)
    assert [key.good(60.0) for key in now] == [False, False, True]


def test_an_expiry_outlives_a_rotation() -> None:
    """A new secret is no new lease; what has expired is not rotated, nor what was never there."""
    _, key = keys.issue("billing", [], [], 100.0, 0, 0.0)
    _, both = keys.rotate([key], key.record.id, 500.0, 0, 10.0)
    assert [each.record.expires for each in both] == [100.0, 100.0]
    with pytest.raises(Refused, match="expired"):
        keys.rotate([key], key.record.id, 0.0, 0, 100.0)
    with pytest.raises(Refused, match="there is no key"):
        keys.rotate([key], "other", 0.0, 0, 1.0)
    with pytest.raises(Refused, match="there is no key"):
        keys.revoke([], key.record.id)


@pytest.mark.parametrize("user", ["", "a b", "a\nb", "-x", "é", "x" * 101, "a,b"])
def test_names_that_a_header_or_a_map_cannot_hold_are_refused(user: str) -> None:
    """They would be read as something else."""
    with pytest.raises(OperatorError, match="cannot name"):
        keys.issue(user, [], [], None, 0, 0.0)


@pytest.mark.parametrize("role", ["", "-", "a b", "a,b", "a\nb"])
def test_roles_that_a_list_cannot_hold_are_refused(role: str) -> None:
    """The same for roles and scopes."""
    for roles, scopes in (([role], []), ([], [role])):
        with pytest.raises(OperatorError, match="is no"):
            keys.issue("billing", roles, scopes, None, 0, 0.0)


def test_a_key_for_no_time_is_refused() -> None:
    """`--expires 0s` is a mistake."""
    with pytest.raises(OperatorError, match="good for nothing"):
        keys.issue("billing", [], [], 0.0, 0, 0.0)
