"""`cloudlet route`: which route takes a request, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudlet.cli.printing import Column, print_data, print_table
from cloudlet.cli.session import Session, examples, output_option, pass_session
from cloudlet.errors import NotRunning

if TYPE_CHECKING:
    from cloudlet.control.views import RouteCounts, RouteDecision, RouteStatus

_COLUMNS = (
    Column("ROUTE", 3, flexible=True),
    Column("HOST", 2),
    Column("PATH"),
    Column("METHODS", 1),
    Column("ASKS FOR", 4, flexible=True),
    Column("ANSWERED BY", flexible=True),
    Column("REQUESTS", 5, right=True),
    Column("4XX", 7, right=True),
    Column("5XX", 6, right=True),
    Column("NOW", 8, right=True),
)


def _header(_: click.Context, __: click.Parameter, lines: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{line!r} is no header; write 'Name: value'")
        found.append((name.strip(), value.strip()))
    return tuple(found)


@click.group(
    "route",
    short_help="Show routes, and which one takes a request.",
    epilog=examples(
        "cloudlet route ls",
        "cloudlet route explain http://api.shop.localhost/v1/orders/7",
        "cloudlet route explain POST /v1/orders -H 'X-Version: 2'",
    ),
)
def command() -> None:
    """Routes of the gateway, as `gateway.routes` says."""


@command.command("ls", short_help="List routes.")
@output_option
@pass_session
def ls(session: Session) -> None:
    """Every route, the specific before the general: of those that fit a request, the first one takes it. With what
    they were asked while the stack runs; a service of several has a line of its own."""
    routes = _routes(session)
    if session.output == "table":
        print_table(_COLUMNS, [row for route in routes for row in _rows(route)])
    else:
        print_data({"routes": routes}, session.output)


@command.command("explain", short_help="Say which route takes a request, and why.")
@click.argument("request", nargs=-1, required=True, metavar="[METHOD] URL")
@click.option("-H", "--header", "headers", multiple=True, callback=_header, help="A header, `Name: value`.")
@output_option
@pass_session
def explain(session: Session, request: tuple[str, ...], headers: tuple[tuple[str, str], ...]) -> None:
    """Which route takes the request, why, and why the others don't. URL may be a path alone.

    Needs no running stack: it goes by the file, as `cloudlet up` would.
    """
    from cloudlet import stack
    from cloudlet.control.routes import asked
    from cloudlet.control.routes import explain as decide

    if len(request) > 2:
        raise click.UsageError("one request at a time: [METHOD] URL")
    method, url = request if len(request) == 2 else ("GET", request[0])
    if len(request) == 1 and url.isupper() and url.isalpha():
        raise click.UsageError(f"{url} of what? [METHOD] URL")
    decision = decide(stack.load(session.file), asked(method, url, headers))
    if session.output == "table":
        _show(decision)
    else:
        print_data(decision, session.output)


def _routes(session: Session) -> list[RouteStatus]:
    """Of the running stack; of the file where none runs."""
    from cloudlet import stack
    from cloudlet.control.routes import route_statuses

    try:
        return session.client().routes()
    except NotRunning:
        return route_statuses(stack.load(session.file), None)


def _rows(route: RouteStatus) -> list[list[str]]:
    methods, asks = ", ".join(route.methods) or "any", ", ".join(route.conditions) or "-"
    own = [route.label, route.host or "any", route.path, methods, asks, route.answer, *_counts(route.counts)]
    parts = route.variants if route.counts else []
    return [own, *(["", "", "", "", "", item.service, *_counts(item.counts)] for item in parts)]


def _counts(counts: RouteCounts | None) -> list[str]:
    if counts is None:
        return ["-"] * 4
    return [str(number) for number in (counts.requests, counts.errors_4xx, counts.errors_5xx, counts.sessions)]


def _show(decision: RouteDecision) -> None:
    query = f"?{decision.query}" if decision.query else ""
    click.echo(f"{decision.method} {decision.host}{decision.path}{query}")
    if decision.label:
        click.echo(f"  is taken by {decision.label}: {decision.answer}")
    else:
        allow = f", Allow: {', '.join(decision.allow)}" if decision.allow else ""
        click.echo(f"  is answered with {decision.status}{allow}")
    click.echo(f"  because {decision.because}")
    for item in decision.passed:
        click.echo(f"  not {item.label}: {item.because}")
