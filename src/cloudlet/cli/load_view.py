"""A load while it runs, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

import click

from cloudlet.cli.amounts import count, latency
from cloudlet.cli.console import err, out
from cloudlet.cli.printing import Column, print_table

if TYPE_CHECKING:
    from rich.live import Live

    from cloudlet.load import LoadPlan, Progress, Report

#: seconds; a generator this late speaks of its own machine
_LATE = 0.05


class Progressing:
    """A line on standard error that changes four times a second, only on a terminal."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._live: Live | None = None

    def __enter__(self) -> Progressing:
        if err().is_terminal:
            from rich.live import Live

            self._live = Live(console=err(), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def listener(self) -> Callable[[Progress], None] | None:
        return None if self._live is None else self._show

    def _show(self, now: Progress) -> None:
        from rich.text import Text

        total = f" of {self._plan.duration:g}" if self._plan.duration else ""
        parts = [
            (f"{now.elapsed:.0f}{total} s  {count(now.sent)} sent  ", ""),
            (f"{count(now.failed)} failed  ", "red" if now.failed else "dim"),
            (f"{now.rate:,.0f}/s  p50 {latency(now.p50)}  p99 {latency(now.p99)}", ""),
        ]
        if self._live is not None:
            self._live.update(Text.assemble(*parts, no_wrap=True, overflow="ellipsis"), refresh=True)


def show_report(plan: LoadPlan, report: Report) -> None:
    """The tables at the end."""
    pace = f"{plan.rate:g}/s due" if plan.rate else f"{plan.concurrency} clients"
    click.echo(f"{plan.url}  {pace}  {report.elapsed:.1f} s")
    rows = [
        ["sent", count(report.sent)],
        ["ok", count(report.ok)],
        ["failed", count(report.failed)],
        *([f"  {kind}", count(number)] for kind, number in report.failures.items()),
        ["retried", count(report.retried)],
        ["answers/s", f"{report.throughput:,.0f}"],
        ["longest without a success", latency(report.max_gap)],
    ]
    print_table((Column("REQUESTS"), Column("", right=True)), rows)
    click.echo()
    at = report.latency
    shown = {"p50": at.p50, "p90": at.p90, "p99": at.p99, "p99.9": at.p999, "max": at.max}
    print_table((Column("LATENCY"), Column("", right=True)), [[n, latency(v)] for n, v in shown.items()])
    _counted("STATUS", {str(status): number for status, number in report.statuses.items()})
    _counted((plan.by_header or "").upper(), report.by_header)
    if report.lag > _LATE:
        message = f"the generator was up to {latency(report.lag)} late: this machine limits it, not the server"
        out().print(f"warning: {message}", style="yellow", soft_wrap=True)


def _counted(title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    click.echo()
    total = sum(counts.values())
    rows = [[name, count(number), f"{number / total:.1%}"] for name, number in counts.items()]
    print_table((Column(title), Column("ANSWERS", right=True), Column("SHARE", right=True)), rows)
