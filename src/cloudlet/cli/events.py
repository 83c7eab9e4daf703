"""Entries of the journal as lines."""

from __future__ import annotations

from datetime import datetime

from cloudlet.cli.console import out
from cloudlet.control.views import Event

_STYLES = {"warning": "yellow", "error": "red"}


def print_event(event: Event) -> None:
    """`12:03:55 orders-1: serving because its check answered`"""
    from rich.text import Text

    at = datetime.fromtimestamp(event.at).strftime("%H:%M:%S")
    style = _STYLES.get(event.level, "")
    line = Text.assemble((at, "dim"), " ", (event.subject, "bold"), ": ", (event.event, style))
    if event.because:
        line.append(f" because {event.because}", style=style or "dim")
    out().print(line, soft_wrap=True)
