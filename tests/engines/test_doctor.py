"""What doctor finds on this machine."""

from __future__ import annotations

import pytest

from cloudlet.engines.doctor import examine


def test_every_engine_and_limit_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each; what is fine needs no fix, what is not has one."""
    findings = {finding.name: finding for finding in examine()}
    assert list(findings) == ["HAProxy", "PostgreSQL", "Valkey", "NATS", "Python", "open files", "users"]
    assert all(finding.ok or finding.fix for finding in findings.values())
    assert findings["HAProxy"].ok
    assert "Lua" in findings["HAProxy"].detail


def test_a_misleading_variable_is_reported_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding says which variable, why, and what to do."""
    monkeypatch.setenv("CLOUDLET_NATS_SERVER", "/nonexistent/nats-server")
    finding = next(finding for finding in examine() if finding.name == "NATS")
    assert not finding.ok
    assert "CLOUDLET_NATS_SERVER=/nonexistent/nats-server" in finding.detail
    assert "CLOUDLET_NATS_SERVER" in finding.fix
