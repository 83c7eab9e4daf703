"""The commands that talk to a running stack, against recorded answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import yaml

from cloudlet.control.views import Change, Event, PlanView
from tests.cli.conftest import Daemon, Program, instance, status

ADDED = Change("add", "service", "users", "2 of granian users:app", "instances start")
UNDOES = "orders was scaled to 4 by a command; the file says 2"


async def test_status_shows_services_instances_engines_and_addresses(daemon: Daemon, cloudlet: Program) -> None:
    """One look tells what runs and where; cloudlet's own services only with --all."""
    result = await cloudlet("status")
    assert result.status == 0
    for expected in (
        "shop: healthy",
        "http://127.0.0.1:8080",
        "orders",
        "2/2",
        "orders-1",
        "4001",
        "haproxy",
    ):
        assert expected in result.out
    assert "34,567" in result.out
    assert "1.20 ms" in result.out
    assert "warning: memory limits do not work here" in result.out
    assert "cloudlet-hub" not in result.out
    assert "cloudlet-hub" in (await cloudlet("status", "--all")).out


async def test_status_as_data_is_what_the_api_said(daemon: Daemon, cloudlet: Program) -> None:
    """JSON and YAML carry every field of the view, wherever --output stands."""
    as_json = json.loads((await cloudlet("status", "--output", "json")).out)
    as_yaml = yaml.safe_load((await cloudlet("--output", "yaml", "status")).out)
    assert as_json == as_yaml
    assert as_json["services"][0]["instances"][1]["name"] == "orders-2"
    assert "a_field_of_the_future" not in as_json


async def test_narrow_terminals_lose_columns_not_lines(daemon: Daemon, cloudlet: Program) -> None:
    """At 60 columns no line is longer, none is wrapped, and what matters most is still there."""
    daemon.statuses = [status("degraded", instance(1), instance(2, "backoff", because="x" * 200))]
    narrow = await cloudlet("status", COLUMNS="60")
    wide = await cloudlet("status", COLUMNS="200")
    assert max(map(len, narrow.out.splitlines())) <= 60
    for expected in ("orders-2", "backoff", "degraded", "1/2"):
        assert expected in narrow.out
    assert len(narrow.out.splitlines()) == len(wide.out.splitlines())
    assert "BALANCE" in wide.out
    assert "BALANCE" not in narrow.out


async def test_scale_sends_counts(daemon: Daemon, cloudlet: Program) -> None:
    """`scale orders=4 users=2` is one request."""
    result = await cloudlet("scale", "orders=4", "users=2")
    assert result.status == 0
    assert daemon.asked[-1] == ("POST", "/v1/scale", {"services": {"orders": 4, "users": 2}})
    assert (await cloudlet("scale", "orders")).status == 2
    assert (await cloudlet("scale", "orders=-1")).status == 2


async def test_restart_names_what_is_replaced(daemon: Daemon, cloudlet: Program) -> None:
    """The daemon says which instances it replaces."""
    result = await cloudlet("restart", "orders")
    assert "orders-1, orders-2" in result.out
    assert daemon.asked[-1][2] == {"services": ["orders"]}


async def test_logs_select_services_and_instances(daemon: Daemon, cloudlet: Program) -> None:
    """A service, an instance by number or by name, and the full name all become one question."""
    daemon.logs = [{"instance": "orders-1", "at": 1.0, "line": "GET / 200"}]
    result = await cloudlet("logs", "orders", "users/2", "cart/cart-3", "--instance", "edge", "--tail", "5")
    assert result.out == "orders-1 | GET / 200\n"
    assert daemon.asked[-1][2] == {
        "tail": ["5"],
        "service": ["orders"],
        "instance": ["edge", "users-2", "cart-3"],
    }


async def test_logs_follow_streams_lines(daemon: Daemon, cloudlet: Program) -> None:
    """Following prints each line as it comes, as NDJSON when data is asked for."""
    daemon.logs = [{"instance": f"orders-{n % 2 + 1}", "at": 1.0, "line": f"line {n}"} for n in range(500)]
    result = await cloudlet("logs", "-f", "--output", "json")
    assert [json.loads(line)["line"] for line in result.out.splitlines()] == [f"line {n}" for n in range(500)]


async def test_config_is_printed_as_it_is(daemon: Daemon, cloudlet: Program) -> None:
    """The configuration can be piped into `haproxy -c`."""
    assert (await cloudlet("config")).out == "global\n  maxconn 1000\n"


async def test_up_applies_the_difference(daemon: Daemon, cloudlet: Program) -> None:
    """Where a daemon answers, the plan is printed and then applied."""
    daemon.plan = PlanView([ADDED], [], ["users has no health check"])
    result = await cloudlet("up")
    assert result.status == 0
    assert "users" in result.out
    assert "instances start" in result.out
    assert "warning: users has no health check" in result.err
    assert daemon.paths_asked() == ["/v1/version", "/v1/plan", "/v1/apply"]
    assert daemon.asked[-1][2]["text"] == cloudlet.file.read_text()


async def test_dry_run_changes_nothing(daemon: Daemon, cloudlet: Program) -> None:
    """`--dry-run` asks for the plan and stops there."""
    daemon.plan = PlanView([ADDED])
    result = await cloudlet("up", "--dry-run", "--output", "json")
    assert json.loads(result.out)["changes"][0]["name"] == "users"
    assert "/v1/apply" not in daemon.paths_asked()


async def test_up_asks_before_it_takes_back(daemon: Daemon, cloudlet: Program) -> None:
    """With nobody there to ask: exit 7 and nothing applied; --yes applies."""
    daemon.plan = PlanView([Change("scale", "service", "orders", "4 → 2", "drain")], [UNDOES])
    refused = await cloudlet("up")
    assert refused.status == 7
    assert UNDOES in refused.err
    assert "--yes" in refused.err
    assert "/v1/apply" not in daemon.paths_asked()
    assert (await cloudlet("up", "--yes")).status == 0
    assert daemon.asked[-1][2]["yes"] is True


async def test_up_wait_returns_when_the_wanted_revision_serves(daemon: Daemon, cloudlet: Program) -> None:
    """Healthy by the instances that are being replaced is not healthy yet."""
    old = status("healthy", instance(1, revision="r0"), instance(2, revision="r0"))
    daemon.statuses = [status("starting", instance(1)), old, status()]
    result = await cloudlet("up", "--wait")
    assert result.status == 0
    assert daemon.paths_asked().count("/v1/status") == 3
    assert "orders: starting, 1 of 2 serve" in result.err


async def test_up_wait_says_what_is_not_healthy(daemon: Daemon, cloudlet: Program) -> None:
    """Exit 6 names the sick instance, its reason and the last it wrote."""
    sick = instance(2, "backoff", because="exited with status 1")
    daemon.statuses = [status("degraded", instance(1), sick)]
    daemon.logs = [{"instance": "orders-2", "at": 1.0, "line": "ModuleNotFoundError: no module named orders"}]
    result = await cloudlet("up", "--wait", "--wait-timeout", "300ms")
    assert result.status == 6
    assert "orders-2: backoff because exited with status 1" in result.err
    assert "| ModuleNotFoundError" in result.err
    assert daemon.asked[-1][2]["instance"] == ["orders-2"]


async def test_waiting_for_a_crash_loop_ends_early(daemon: Daemon, cloudlet: Program) -> None:
    """When all that is left crashes again and again, the timeout is not waited for."""
    daemon.statuses = [status("degraded", instance(1), instance(2, "backoff"), service_state="crash-looping")]
    result = await cloudlet("up", "--wait")
    assert result.status == 6


async def test_down_tells_what_it_ends_and_waits_for_the_daemon(daemon: Daemon, cloudlet: Program) -> None:
    """The journal is shown until the daemon's process is gone."""
    daemon.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    daemon.events = [Event(8, 1.0, "info", "orders-1", "stopping", "everything goes down")]
    result = await cloudlet("down")
    assert result.status == 0
    assert "orders-1: stopping because everything goes down" in result.out
    assert "shop is down" in result.out
    assert daemon.process.poll() is not None
    follow = next(query for _, path, query in daemon.asked if path == "/v1/events" and "follow" in query)
    assert follow["since"] == ["7"]


async def test_the_daemons_errors_keep_their_kind(daemon: Daemon, cloudlet: Program) -> None:
    """What the daemon raised is raised here: message, and the exit status of its kind."""
    daemon.failure = (409, {"error": "the stack is going down", "kind": "Refused", "exit_code": 7})
    refused = await cloudlet("scale", "orders=3")
    daemon.failure = (500, {"error": "HAProxy said no", "kind": "EngineFailed", "exit_code": 5})
    failed = await cloudlet("status")
    daemon.failure = (500, {"what": "ever"})
    strange = await cloudlet("status")
    assert (refused.status, refused.err) == (7, "error: the stack is going down\n")
    assert (failed.status, failed.err) == (5, "error: HAProxy said no\n")
    assert strange.status == 70


async def test_problems_found_by_the_daemon_are_shown_with_their_lines(daemon: Daemon, cloudlet: Program) -> None:
    """A 422 looks as `cloudlet check` does."""
    problem = {"file": str(cloudlet.file), "line": 5, "column": 16, "message": "too many", "fix": "fewer"}
    daemon.failure = (422, {"error": "x", "kind": "StackError", "exit_code": 3, "problems": [problem]})
    result = await cloudlet("up")
    assert result.status == 3
    assert "cloudlet.yaml:5:16: error: too many\n    5 |     instances: 2\n" in result.err


async def test_load_goes_to_the_gateway(daemon: Daemon, cloudlet: Program) -> None:
    """A path is sent to the running stack's gateway; exit 1 when anything failed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        daemon.statuses = [status(gateway=url)]
        result = await cloudlet("load", "/api", "--concurrency", "1", "--requests", "3", "--output", "json")
    report = json.loads(result.out)
    assert result.status == 1
    assert report["failures"] == {"connect": 3}
    assert report["failed"] == report["sent"] == 3
