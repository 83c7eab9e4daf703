"""Routes and per-backend facts as maps, which HAProxy looks up without trying one after the other.

    routes-exact.map    HOST/path → backend    the whole of host and path
    routes-prefix.map   HOST/path/ → backend   the longest that host and path begin with
    waits.map           backend → milliseconds a request is held while no server is there
    waits-limit.map     backend → how many are held at once
    fallbacks.map       backend → who answers when no server is up

HOST is `*` for a route of any host; a real host can't be that (the edge refuses one with `*` or `/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloudlet.contracts.edge import EdgeConfiguration, Route

EXACT, PREFIX = "routes-exact.map", "routes-prefix.map"
WAITS, LIMITS, FALLBACKS = "waits.map", "waits-limit.map", "fallbacks.map"
ANY_HOST = "*"


def map_files(configuration: EdgeConfiguration) -> dict[str, str]:
    http = [backend for backend in configuration.backends if backend.mode == "http"]
    return {
        **{name: map_text(entries) for name, entries in route_maps(configuration.routes).items()},
        WAITS: map_text({b.name: str(round(b.wait * 1000)) for b in http}),
        LIMITS: map_text({b.name: str(b.wait_at_most) for b in http}),
        FALLBACKS: map_text({b.name: b.fallback for b in http if b.fallback}),
    }


def route_maps(routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """The entries of both route maps by the map's name; an exact route wins over a prefix's own path."""
    exact: dict[str, str] = {}
    prefix: dict[str, str] = {}
    implied: dict[str, str] = {}
    for route in routes:
        key = (route.host or ANY_HOST).lower().rstrip(".") + route.path
        if key.endswith("/*"):
            prefix.setdefault(key.removesuffix("*"), route.backend)
            implied.setdefault(key.removesuffix("/*"), route.backend)
        else:
            exact.setdefault(key, route.backend)
    whole = {key: backend for key, backend in implied.items() if "/" in key}
    return {EXACT: {**whole, **exact}, PREFIX: prefix}


def map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())
