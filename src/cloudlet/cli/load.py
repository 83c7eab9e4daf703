"""`cloudlet load`: requests at a rate or a concurrency, every failure counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudlet.cli.exits import FAILED, INTERRUPTED
from cloudlet.cli.session import Session, duration, examples, output_option, pass_session, rate
from cloudlet.errors import OperatorError

if TYPE_CHECKING:
    from cloudlet.load import LoadPlan, Report

#: requests a second and seconds, when nothing is said
_RATE, _DURATION = 100.0, 10.0


def _statuses(text: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        high = high or low
        if not (low.isdecimal() and high.isdecimal() and 100 <= int(low) <= int(high) <= 999):
            raise click.BadParameter(f"'{part}' is no status; write 200, 200-299 or 200-299,404")
        ranges.append((int(low), int(high)))
    return tuple(ranges)


@click.command(
    "load",
    short_help="Send requests, count every failure.",
    epilog=examples(
        "cloudlet load /api/products",
        "cloudlet load /api/products --rate 500/s --duration 30s",
        "cloudlet load / --concurrency 32 --by-header X-Instance",
        "cloudlet load /api/orders --method POST --body @order.json",
        "cloudlet load https://shop.localhost:8443/ --insecure",
    ),
)
@click.argument("target", metavar="URL_OR_PATH")
@click.option("--rate", type=rate, metavar="RATE", help="Open loop: due at this rate, say 500/s.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Closed loop: so many clients.")
@click.option("--duration", type=duration, metavar="DURATION", help="Stop after so long.  [default: 10s]")
@click.option("--requests", type=click.IntRange(1), metavar="N", help="Stop after so many.")
@click.option("--method", default=None, help="The request's method.  [default: GET, POST with --body]")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of every request.")
@click.option("--body", metavar="TEXT|@FILE", help="What is sent; @- reads standard input.")
@click.option("--by-header", metavar="NAME", help="Count answers by this header of theirs.")
@click.option("--expect", type=_statuses, metavar="STATUSES", help="What is good.  [default: 200-399]")
@click.option("--timeout", type=duration, metavar="DURATION", help="Longest wait.  [default: 10s]")
@click.option("--connections", type=click.IntRange(1), metavar="N", help="At most, with --rate.  [default: 256]")
@click.option("--poisson", is_flag=True, help="Random intervals, as many users make them; with --rate.")
@click.option("--retry", is_flag=True, help="Send again, once, what failed with its connection.")
@click.option("--cacert", type=click.Path(exists=True, dir_okay=False), help="Trust this authority (PEM).")
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@output_option
@click.pass_context
@pass_session
def command(session: Session, context: click.Context, /, **options: Any) -> None:
    """Send requests and count every failure; exit 1 if there was one.

    A path such as /api/products goes to the running stack's gateway. With --rate (100/s by default) latency
    counts from when a request was due, so a server that stalls cannot hide it. Ctrl-C stops early and
    reports.
    """
    from cloudlet.cli.load_view import show_report
    from cloudlet.cli.printing import print_data

    plan = _plan(session, options)
    report, interrupted = _run(plan)
    if session.output == "table":
        show_report(plan, report)
    else:
        print_data({**_as_data(report), "failed": report.failed}, session.output)
    if interrupted:
        context.exit(INTERRUPTED)
    if report.failed or not report.ok:
        context.exit(FAILED)


def _plan(session: Session, options: dict[str, Any]) -> LoadPlan:
    from cloudlet.load import LoadPlan

    pace, concurrency = options["rate"], options["concurrency"]
    if pace and concurrency:
        raise click.UsageError("--rate and --concurrency exclude each other: an open loop or a closed one")
    if concurrency and (options["poisson"] or options["connections"]):
        raise click.UsageError("--poisson and --connections belong to --rate")
    given = {
        "duration": options["duration"] or (None if options["requests"] else _DURATION),
        "requests": options["requests"],
        "rate": None if concurrency else pace or _RATE,
        "concurrency": concurrency,
        "headers": dict(map(_header, options["headers"])),
        "body": _body(options["body"]),
        "method": options["method"] or ("GET" if options["body"] is None else "POST"),
        "arrivals": "poisson" if options["poisson"] else "fixed",
        "retry": options["retry"],
        "by_header": options["by_header"],
        "authority": options["cacert"],
        "verify": not options["insecure"],
    }
    others = ("expect", "timeout", "connections")
    given |= {name: options[name] for name in others if options[name] is not None}
    return LoadPlan(_url(session, options["target"]), **given)


def _url(session: Session, target: str) -> str:
    if not target.startswith("/"):
        return target
    addresses = {address.name: address.url for address in session.client().status().addresses}
    for name in ("gateway http", "gateway https"):
        if name in addresses:
            return addresses[name].rstrip("/") + target
    raise OperatorError(f"the stack has no gateway that {target} could go to; give a whole URL")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"'{text}' is no header; write 'Name: value'")
    return name.strip(), value.strip()


def _body(text: str | None) -> bytes:
    if text is None or not text.startswith("@"):
        return (text or "").encode()
    try:
        return sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read the body {text[1:]}: {error.strerror}") from error


def _run(plan: LoadPlan) -> tuple[Report, bool]:
    """The report, and whether Ctrl-C cut it short."""
    import asyncio
    import signal

    import uvloop

    from cloudlet.cli.load_view import Progressing
    from cloudlet.load import run

    async def load() -> tuple[Report, bool]:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        with Progressing(plan) as progressing:
            return await run(plan, progressing.listener, stop=stop), stop.is_set()

    return uvloop.run(load())


def _as_data(report: Report) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(report)
