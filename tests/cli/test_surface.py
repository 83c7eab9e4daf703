"""What every command has in common: help, exit statuses, colour, speed, a documentation page."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudlet import errors
from cloudlet.cli.app import COMMANDS
from cloudlet.cli.app import cloudlet as group
from cloudlet.cli.exits import EXITS
from tests.cli.conftest import CLOUDLET, Daemon, Program

REFERENCE = Path(__file__).parents[2] / "docs/reference/commands.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_in_examples(name: str) -> None:
    """Every command's help ends in lines that can be run as they are, and fits 80 columns."""
    shown = CliRunner().invoke(group, [name, "--help"], prog_name="cloudlet", terminal_width=80).output
    _, _, tail = shown.partition("Examples:\n")
    assert tail
    assert all(re.match(r"  +(cloudlet|eval) ?", line) for line in tail.splitlines() if line.strip())
    assert max(map(len, shown.splitlines())) <= 80


def test_every_exception_has_a_documented_exit_status() -> None:
    """No error exits with a status that the table does not explain."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.CloudletError)}
    assert raised <= set(EXITS)


@pytest.mark.parametrize("command", ["status", "scale orders=2", "restart", "logs", "config", "load /api"])
async def test_without_a_stack_commands_exit_4(cloudlet: Program, command: str) -> None:
    """The message says that nothing runs, and how to start it."""
    result = await cloudlet(*command.split())
    assert result.status == 4
    assert "cloudlet up" in result.err
    assert result.out == ""


async def test_without_a_stack_logs_points_to_the_files(cloudlet: Program) -> None:
    """What was logged before is still there to read."""
    assert ".cloudlet/logs" in (await cloudlet("logs")).err


async def test_down_of_nothing_is_no_error(cloudlet: Program) -> None:
    """What should not run does not run: exit 0."""
    result = await cloudlet("down")
    assert (result.status, result.out) == (0, "nothing runs\n")


async def test_up_plans_against_nothing_without_a_daemon(cloudlet: Program) -> None:
    """A dry run with no stack lists everything, and starts nothing."""
    await cloudlet("init")
    result = await cloudlet("up", "--dry-run")
    assert result.status == 0
    assert "web" in result.out
    assert not (cloudlet.folder / ".cloudlet").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["up", "--wait"], "needs -d"),
        (["up", "--wait-timeout", "1s"], "give --wait too"),
        (["load", "/", "--rate", "5", "--concurrency", "2"], "exclude each other"),
        (["load", "/", "--rate", "5 apples"], "is not a rate"),
        (["load", "/", "--concurrency", "2", "--poisson"], "belong to --rate"),
        (["load", "/", "--expect", "good"], "is no status"),
        (["load", "/", "--header", "X"], "is no header"),
        (["load", "/", "--duration", "5"], "has no unit"),
        (["stat"], "did you mean 'status'"),
    ],
)
async def test_options_without_effect_or_sense_are_refused(
    cloudlet: Program, arguments: list[str], reason: str
) -> None:
    """Exit 2 and the reason, before anything happens."""
    await cloudlet("init")
    result = await cloudlet(*arguments)
    assert result.status == 2
    assert reason in result.err


async def test_a_bug_is_called_a_bug(cloudlet: Program) -> None:
    """An unexpected exception is one line and exit 70; the traceback comes when it is asked for."""
    code = "import cloudlet.cli.app as app; app.cloudlet.main = None; raise SystemExit(app.run([]))"
    for debug in ("", "1"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env={"CLOUDLET_DEBUG": debug}, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == 70
        assert (b"Traceback" in said) == bool(debug)
        assert (b"bug of cloudlet's own" in said) == (not debug)


async def test_an_interrupted_load_reports_and_exits_130(daemon: Daemon, cloudlet: Program) -> None:
    """Ctrl-C ends a load early with what it has counted."""
    answering = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = answering.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        str(CLOUDLET),
        *("load", f"http://127.0.0.1:{port}/", "--rate", "200/s", "--duration", "60s"),
        cwd=cloudlet.folder,
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.wait_for(_served.wait(), 20)
    process.send_signal(signal.SIGINT)
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    answering.close()
    assert process.returncode == 130
    assert b"sent" in said


_served = asyncio.Event()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            _served.set()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_colour_only_on_a_terminal_that_wants_it(
    daemon: Daemon, cloudlet: Program, environment: dict[str, str], coloured: bool
) -> None:
    """A terminal gets colour unless NO_COLOR is set (no-color.org)."""
    shown = await asyncio.to_thread(on_a_terminal, cloudlet, ["status"], environment)
    assert "orders-1" in shown
    assert ("\x1b[32m" in shown) == coloured
    complaint = await asyncio.to_thread(on_a_terminal, cloudlet, ["-f", "other/x.yaml", "status"], environment)
    assert "no stack runs" in complaint
    assert ("\x1b[31m" in complaint) == coloured


def on_a_terminal(cloudlet: Program, arguments: list[str], environment: dict[str, str]) -> str:
    """What the program shows on a pseudo-terminal of 80 columns."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cloudlet.folder)
        known = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "120"}
        os.execve(CLOUDLET, [str(CLOUDLET), *arguments], {**known, **environment})
    shown = b""
    try:
        while more := os.read(terminal, 4096):
            shown += more
    except OSError:
        pass  # Linux's way to say that the other side has closed
    os.close(terminal)
    os.waitpid(child, 0)
    return shown.decode()


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["load", "--help"]])
async def test_help_and_version_are_quick(cloudlet: Program, arguments: list[str]) -> None:
    """Nothing heavy is imported for them; the best of five takes little more than Python itself."""
    best = 10.0
    for _ in range(5):
        began = time.perf_counter()
        await cloudlet(*arguments)
        best = min(best, time.perf_counter() - began)
    print(f"{' '.join(arguments)}: {best * 1000:.0f} ms")
    assert best < 0.4


@pytest.mark.parametrize("heavy", ["pydantic", "aiohttp", "asyncio", "yaml", "uvloop", "psycopg"])
async def test_help_imports_nothing_heavy(heavy: str) -> None:
    """The reason why it is quick."""
    code = (
        "import sys, cloudlet.cli.app as app\n"
        "for name in app.COMMANDS: app.cloudlet.get_command(None, name)\n"
        f"raise SystemExit({heavy!r} in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_scripts(cloudlet: Program, shell: str) -> None:
    """Each shell gets a script that asks this program."""
    result = await cloudlet("completion", shell)
    assert result.status == 0
    assert "_CLOUDLET_COMPLETE" in result.out


async def test_services_are_completed_from_the_file(daemon: Daemon, cloudlet: Program) -> None:
    """The Tab key after `logs o` offers the services of the file."""
    asked = {"_CLOUDLET_COMPLETE": "bash_complete", "COMP_WORDS": "cloudlet logs o", "COMP_CWORD": "2"}
    assert (await cloudlet(**asked)).out.split() == ["plain,orders"]


async def test_a_closed_pipe_is_no_bug(daemon: Daemon, cloudlet: Program) -> None:
    """`cloudlet logs | head -1` ends quietly."""
    daemon.logs = [{"instance": "orders-1", "at": 1.0, "line": "x" * 1000} for _ in range(2000)]
    process = await asyncio.create_subprocess_shell(
        f"{CLOUDLET} logs | head -1; exit ${{PIPESTATUS[0]}}",
        cwd=cloudlet.folder,
        executable="/bin/bash",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (141, b"")
    assert out.startswith(b"orders-1 | xxx")


async def test_the_reference_is_up_to_date() -> None:
    """docs/reference/commands.md is what the commands say today."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloudlet.cli.reference", "--check", str(REFERENCE)
    )
    assert await process.wait() == 0
