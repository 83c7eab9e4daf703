"""What the steps of shaping and protecting add to HAProxy's configuration, and that they add nothing unasked.

Write them anew with `CLOUDLET_GOLDEN=write pytest tests/edge/test_shape_fragments.py`, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudlet.contracts.edge import Backend, EdgeConfiguration, Route
from cloudlet.edge.steps import accept, cache, compression, cors, headers, protect, timeouts, trace
from cloudlet.edge.steps.fragment import NOTHING
from cloudlet.stack.gateway import Gateway

from .shaped import route

_GOLDEN = Path(__file__).parent / "golden" / "shape.txt"
_STEPS = {
    "trace": trace.fragment,
    "cors, who asks": cors.mark,
    "cors": cors.fragment,
    "accept": accept.fragment,
    "protect": protect.fragment,
    "cache": cache.fragment,
    "headers": headers.fragment,
    "compression": compression.fragment,
    "timeouts": timeouts.fragment,
}
_CHANGES = {"set": {"X-Set": "{path} {id} 100%"}, "add": {"X-Add": "it's"}, "remove": ["X-Gone"]}
_ROUTES = (
    route(
        "/orders/{id}",
        name="orders",
        cors={"origins": ["https://shop.example", "https://*.shop.example"], "credentials": True},
        accept={"body": "1MB", "headers": ["X-Tenant"], "content_types": ["application/json", "image/*"]},
        protect={"injections": "block", "body": True, "except_rules": ["xss-tag"]},
        headers={"request": _CHANGES, "response": _CHANGES, "secure": True},
        timeout={"request": "5s", "answer": "2s", "idle": "1m"},
    ),
    route("/catalogue/*", name="catalogue", cache="10s", timeout="3s"),
    Route("/plain", "a"),
)
_GATEWAY = Gateway.model_validate(
    {"trace": True, "compression": {}, "protect": {"injections": "log"}, "cors": {"origins": "*"}}
)


def test_the_rules_are_as_expected() -> None:
    """Each step's rules, answers, sections and maps; the patterns of attacks are left out."""
    configuration = EdgeConfiguration(backends=(Backend("a"),), routes=_ROUTES, gateway=_GATEWAY, log_sample=0.01)
    text = "".join(f"=== {name}\n{_shown(step(configuration))}" for name, step in _STEPS.items())
    if os.environ.get("CLOUDLET_GOLDEN") == "write":
        _GOLDEN.write_text(text)
    assert text == _GOLDEN.read_text()


def _shown(fragment: object) -> str:
    lines = [*fragment.rules, "--- answers", *fragment.answers, *fragment.sections]  # type: ignore[attr-defined]
    lines += [f"--- {name}\n{dict(entries)}" for name, entries in fragment.maps.items()]  # type: ignore[attr-defined]
    lines += [f"--- {name}" for name in fragment.files]  # type: ignore[attr-defined]
    return "\n".join(line for line in lines if line != "--- answers" or fragment.answers) + "\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("routes", [(Route("/*", "a"),), (route(), route("/b"))], ids=["without a design", "plain"])
@pytest.mark.parametrize("name", _STEPS)
def test_who_does_not_ask_does_not_pay(name: str, routes: tuple[Route, ...]) -> None:
    """A file without the key gets no rule of the step."""
    assert _STEPS[name](EdgeConfiguration(backends=(Backend("a"),), routes=routes)) == NOTHING


def test_rules_grow_with_settings_and_not_with_routes() -> None:
    """A thousand routes of two settings make the rules of two."""

    def rules(count: int) -> int:
        some = [route(f"/{n}", name=f"r{n}", accept={"body": f"{1 + n % 2}MB"}) for n in range(count)]
        found = accept.fragment(EdgeConfiguration(backends=(Backend("a"),), routes=tuple(some)))
        return sum(not line.startswith("acl ") for line in found.rules)

    assert rules(1000) == rules(2)
