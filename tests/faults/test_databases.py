"""PostgreSQL and Valkey are killed under load: they come back, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from cloudlet.load import LoadPlan
from tests.support.gateway import get
from tests.support.live_stack import LiveStack, until
from tests.support.load import every, load, said

STACK = """
name: keeps
services:
  web:
    command: {python} app.py
    instances: 2
    environment: {{POSTED: {posted}, TAKEN: {posted}}}
    health: {{path: /health}}
    uses: [{resource}]
{resources}
gateway:
  listen: {{http: 0, https: "off"}}
  routes: [{{path: /*, to: web}}]
"""
DATABASE = ("shop-db", "databases: {shop-db: {engine: postgres}}")
CACHE = ("sessions", "caches: {sessions: {engine: valkey, memory: 16MB}}")


@pytest.fixture
def stack(stack_of, request):
    resource, resources = request.param
    text = STACK.replace("{resources}", resources.replace("{", "{{").replace("}", "}}")).replace("{resource}", resource)
    with stack_of(text) as live:
        live.up()
        yield live


with_database = pytest.mark.parametrize("stack", [DATABASE], indirect=True, ids=["postgres"])
with_cache = pytest.mark.parametrize("stack", [CACHE], indirect=True, ids=["valkey"])


def kill(stack: LiveStack, engine: str) -> None:
    """SIGKILL, and wait until another process of it answers."""
    before = until(lambda: stack.engine(engine)["pid"], f"{engine} to run")
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        now = stack.engine(engine)
        return now["state"] == "ready" and now["pid"] not in (None, before)

    until(back, f"{engine} to be back")


def in_table(stack: LiveStack) -> set[int]:
    """The orders in the database, read as the service itself would."""
    pid = next(iter(stack.serving("web").values()))["pid"]
    variables = dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if item)
    with psycopg.connect(variables["DATABASE_URL"]) as database:
        return {number for (number,) in database.execute("select number from placed")}


def ordered_while_killed(stack: LiveStack, kills: int, plan: LoadPlan) -> None:
    instances = stack.serving("web")
    with load(plan) as running:
        every(plan.duration / (kills + 1), kills, lambda: kill(stack, "postgres-shop-db"))
    report = running.report
    told = {int(number) for number in (stack.folder / "posted").read_text().split()}
    lost = told - in_table(stack)
    print(f"\nPostgreSQL killed {kills} times: {said(report)}; {len(told)} acknowledged, {len(lost)} of them lost")
    assert report.sent >= 10_000
    assert len(told) >= report.ok
    assert not lost
    assert report.failed == 0
    assert stack.engine("postgres-shop-db")["restarts"] >= kills
    assert {name: i["pid"] for name, i in stack.serving("web").items()} == {n: i["pid"] for n, i in instances.items()}


@with_database
def test_postgres_killed_loses_no_acknowledged_order(stack):
    """The postmaster is killed twice under 1,500 orders a second: every one answered with 201 is in the table."""
    plan = LoadPlan(
        stack.address() + "/order", rate=1500, duration=7, method="POST", number_header="X-Number", timeout=20
    )
    ordered_while_killed(stack, 2, plan)


@with_database
@pytest.mark.soak
def test_postgres_killed_ten_times_loses_no_acknowledged_order(stack):
    """The long form: ten times in a minute."""
    plan = LoadPlan(
        stack.address() + "/order", rate=1000, duration=60, method="POST", number_header="X-Number", timeout=30
    )
    ordered_while_killed(stack, 10, plan)


@with_cache
def test_valkey_killed_comes_back_and_the_service_is_usable(stack):
    """Its clients reconnect to the same address: none of the requests fails, they wait for a moment."""
    instances = stack.serving("web")
    plan = LoadPlan(stack.address() + "/visit", rate=1700, duration=6, timeout=20)
    with load(plan) as running:
        every(2, 2, lambda: kill(stack, "valkey-sessions"))
    report = running.report
    print(f"\nValkey killed twice: {said(report)}")
    assert report.sent >= 10_000
    assert report.failed == 0
    status, visits = get(stack.address(), "/visit")
    assert (status, int(visits) > 0) == (200, True)
    assert {name: i["pid"] for name, i in stack.serving("web").items()} == {n: i["pid"] for n, i in instances.items()}
