"""What is asked of the edge, and the configuration that comes of it, held by golden files.

Write them anew with `CLOUDLET_GOLDEN=write pytest tests/edge/test_render.py`, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cloudlet.contracts.edge import (
    Algorithm,
    Backend,
    Balance,
    Check,
    EdgeConfiguration,
    Listener,
    Route,
    Server,
)
from cloudlet.edge.render import render
from cloudlet.edge.settings import EdgeSettings, connections_for
from cloudlet.stack.service import Breaker

_GOLDEN = Path(__file__).parent / "golden"
_SETTINGS = EdgeSettings(Path("/run/7.sock"), Path("/run/door.sock"), 20_000)
_CASES = {
    "smallest": EdgeConfiguration(
        listeners=(Listener("gateway-http@127.0.0.1:8080", 10),),
        backends=(Backend("web", servers=(Server("web-1", 1, "127.0.0.1", 5001),)),),
        routes=(Route("/*", "web"),),
    ),
    "everything": EdgeConfiguration(
        listeners=(
            Listener("gateway-http@127.0.0.1:8080", 10),
            Listener("gateway-https@127.0.0.1:8443", 11, certificates=Path("/state/certificates")),
            Listener("internal-users", 12, backend="users", internal=True),
            Listener("internal-shop-db", 13, mode="tcp", backend="engine.shop-db", internal=True),
            Listener("listener-raw@0.0.0.0:9000/tcp", 14, mode="tcp", backend="raw"),
        ),
        backends=(
            Backend(
                "orders",
                balance=Balance(Algorithm.CONSISTENT_HASH, "header:X-User", 1.25),
                check=Check("/health", 0.5, 0.4, 2, 3, ((200, 299), (404, 404))),
                concurrency=32,
                wait=5.0,
                wait_at_most=100,
                sticky_cookie="SRV",
                slow_start=10.0,
                timeout=120.0,
                fallback="static-page",
                servers=(
                    Server("orders-1", 1, "127.0.0.1", 5001),
                    Server("orders-2", 2, "127.0.0.1", 5002, 50),
                ),
            ),
            Backend("static-page", balance=Balance(Algorithm.RANDOM), check=None, retries=0),
            Backend("users", http2=True, balance=Balance(Algorithm.IP_HASH), check=Check("/health")),
            Backend("raw", mode="tcp", balance=Balance(Algorithm.LEAST_RESPONSE_TIME), fallback="raw-spare"),
            Backend("raw-spare", mode="tcp"),
            Backend(
                "engine.shop-db",
                mode="tcp",
                check=None,
                timeout=86_400.0,
                servers=(Server("shop-db", 1, "127.0.0.1", 5432),),
            ),
        ),
        routes=(
            Route("/api/orders/*", "orders"),
            Route("/api/orders/special", "users"),
            Route("/*", "static-page", "Shop.localhost"),
        ),
        threads=2,
        log_sample=0.05,
    ),
    "resilient": EdgeConfiguration(
        listeners=(
            Listener(
                "gateway-https@127.0.0.1:8443",
                10,
                certificates=Path("/state/certificates"),
                client_authorities=Path("/state/client-authorities.pem"),
            ),
        ),
        backends=(
            Backend("web", breaker=Breaker(errors=0.5, over=10, at_least=20, open_for=5), retry_budget=0.2),
            Backend("once", retries=1, retry_budget=0.1),
            Backend("never", retries=0),
        ),
        routes=(Route("/*", "web"),),
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_the_configuration_is_as_expected(name: str) -> None:
    """The whole of haproxy.cfg and every map, after what they were rendered from."""
    asked = TypeAdapter(EdgeConfiguration).dump_json(_CASES[name], indent=1).decode()
    rendered = render(_CASES[name], _SETTINGS, {("orders", "orders-2")})
    shown = {file: text for file, text in rendered.files.items() if file.endswith((".cfg", ".map"))}
    text = f"=== asked\n{asked}\n" + "".join(f"=== {file}\n{text}\n" for file, text in shown.items())
    golden = _GOLDEN / f"{name}.txt"
    if os.environ.get("CLOUDLET_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_connections_fit_the_file_limit() -> None:
    """Two descriptors a connection with room for checks and listeners, and a ceiling."""
    assert connections_for(1024) == 370
    assert connections_for(20_000) == 8_910
    assert connections_for(1_048_576) == 50_000
