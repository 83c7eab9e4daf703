"""Renders what is asked of the edge as HAProxy's files: pure, the same input gives the same text.

global, defaults       render_global.py     the process, timeouts, logging
frontends              render_frontend.py   who listens, and where their requests go
  the rules within     render_request.py    in FILE.md's order of a request's life
backends               render_backend.py    balancing, checks, queues, retries
  their servers        render_server.py     the same words in the file and over the runtime socket
maps                   render_routes.py     routes, waits, fallbacks
errors                 render_errors.py     problem details (RFC 9457)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.edge.render_backend import Draining, backend_section
from cloudlet.edge.render_errors import error_files
from cloudlet.edge.render_frontend import frontend_sections
from cloudlet.edge.render_global import HOLD, global_sections
from cloudlet.edge.render_request import DOOR, DOOR_ONCE, HOLD_TABLE, restore, suspects
from cloudlet.edge.render_retries import door_lines, retry_files
from cloudlet.edge.render_routes import map_files, map_text
from cloudlet.edge.rendered import CONFIGURATION, Rendered, section
from cloudlet.edge.settings import EdgeSettings
from cloudlet.edge.steps import fragments
from cloudlet.edge.steps.timeouts import timeout_lines
from cloudlet.errors import InternalError

#: repeats through the door; they multiply with those of a backend whose only instance answers nothing
_DOOR_TRIES = 3
_HEAD = """\
# Written by cloudlet; a change made here is lost with the next one made there.
# It is started in this folder, and has the paths of its sockets in its environment.

"""


def render(configuration: EdgeConfiguration, settings: EdgeSettings, draining: Draining = ()) -> Rendered:
    """All files of one generation. Raises InternalError for a name that is not there."""
    require_names(configuration)
    steps = fragments(configuration)
    rules = timeout_lines(configuration)
    sections = [
        *global_sections(configuration, settings, steps),
        *frontend_sections(configuration, steps),
        *(backend_section(backend, draining, rules) for backend in configuration.backends),
        *_doors(configuration),
        _held(),
        *(text for step in steps for text in step.sections),
    ]
    return Rendered(
        {
            CONFIGURATION: _HEAD + "\n".join(sections),
            HOLD: files("cloudlet.edge").joinpath(HOLD).read_text(encoding="utf-8"),
            **map_files(configuration),
            **error_files(),
            **retry_files(configuration),
            **{name: text for step in steps for name, text in step.files.items()},
            **{name: map_text(entries) for step in steps for name, entries in step.maps.items()},
        }
    )


def live_maps(configuration: EdgeConfiguration) -> dict[str, Mapping[str, str]]:
    """The maps that may change while a process runs, by name, in the order in which they are to be exchanged."""
    return {name: entries for step in fragments(configuration) for name, entries in step.maps.items()}


def frame(configuration: EdgeConfiguration) -> Mapping[str, str]:
    """Everything that only a succession can change: the files without servers and live maps."""
    bare = replace(configuration, backends=tuple(replace(item, servers=()) for item in configuration.backends))
    maps = live_maps(bare)
    files = render(bare, EdgeSettings(Path("socket"), Path("door"), 1000)).files
    return {name: text for name, text in files.items() if name not in maps}


def _doors(configuration: EdgeConfiguration) -> list[str]:
    """To ourselves, or to the process that succeeds this one; what waits and fails there is timed there."""
    common = (
        "mode http",
        "timeout server 1d",
        "option abortonclose",
        f"retries {_DOOR_TRIES}",
        "http-request set-log-level silent",
        "http-request set-header cloudlet-backend %[var(txn.backend)]",
        "http-request set-header cloudlet-client %[src]",
        "http-request set-header cloudlet-route %[var(txn.route)] if { var(txn.route) -m found }",
        "http-request set-header cloudlet-suspect %[var(txn.suspect)] if { var(txn.suspect) -m found }"
        if suspects(configuration)
        else "",
        "http-request set-header cloudlet-deadline %[var(txn.deadline)] if { var(txn.deadline) -m found }",
        *restore(),
    )
    server = "server door unix@$DOOR"
    repeats = "retry-on conn-failure empty-response 425"
    return [
        section(f"backend {DOOR} from common", *common, repeats, *door_lines(configuration), server),
        section(
            f"backend {DOOR_ONCE} from common",
            "# each request is the first on its connection",
            "option http-server-close",
            *common,
            "retry-on conn-failure 425",
            server,
        ),
    ]


def _held() -> str:
    return section(
        f"backend {HOLD_TABLE} from common",
        "# how many requests are held, by their backend",
        "stick-table type string len 128 size 10k expire 1h store conn_cur",
    )


def require_names(configuration: EdgeConfiguration) -> None:
    """Everything that points at a backend points at one that is there: HAProxy would answer 503 without a word."""
    known = {backend.name for backend in configuration.backends}
    wanted = [(f"the route {route.path}", route.backend) for route in configuration.routes if route.backend]
    wanted += [(f"the route {route.path}", name) for route in configuration.routes for name, _ in route.targets]
    wanted += [(f"the listener {item.socket}", item.backend) for item in configuration.listeners if item.backend]
    wanted += [(f"the backend {item.name}", item.fallback) for item in configuration.backends if item.fallback]
    for who, name in wanted:
        if name not in known:
            raise InternalError(f"{who} points at the backend {name}, which the edge was not given")
