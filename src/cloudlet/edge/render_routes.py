"""Routes and per-backend facts as maps, which HAProxy looks up without trying one after the other.

    routes-hosts.map         HOST → 1             hosts that have routes of their own
    routes-host-exact.map    HOST/path → backend  the whole of host and path
    routes-host-prefix.map   HOST/path/ → backend the longest that host and path begin with
    routes-exact.map         /path → backend      the same for any host
    routes-prefix.map        /path/ → backend
    waits.map                backend → milliseconds a request is held while no server is there
    waits-limit.map          backend → how many are held at once
    fallbacks.map            backend → who answers when no server is up

Paths are canonical: percent-decoded, slashes merged, and then `%` and space, which a key can't hold, encoded again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from cloudlet.contracts.edge import EdgeConfiguration, Route

HOSTS, HOST_EXACT, HOST_PREFIX = "routes-hosts.map", "routes-host-exact.map", "routes-host-prefix.map"
EXACT, PREFIX = "routes-exact.map", "routes-prefix.map"
WAITS, LIMITS, FALLBACKS = "waits.map", "waits-limit.map", "fallbacks.map"


def map_files(configuration: EdgeConfiguration) -> dict[str, str]:
    http = [backend for backend in configuration.backends if backend.mode == "http"]
    return {
        WAITS: map_text({b.name: str(round(b.wait * 1000)) for b in http}),
        LIMITS: map_text({b.name: str(b.wait_at_most) for b in http}),
        FALLBACKS: map_text({b.name: b.fallback for b in http if b.fallback}),
    }


def route_maps(routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """The entries of the routes' maps by the map's name; an exact route wins over a prefix's own path. Those of
    hosts only where a route names one, for else HAProxy doesn't know them."""
    routes = tuple(routes)
    names = (HOST_EXACT, HOST_PREFIX, HOSTS) if names_hosts(routes) else ()
    maps: dict[str, dict[str, str]] = {name: {} for name in (*names, EXACT, PREFIX)}
    implied: list[tuple[str, str, str]] = []
    for route in routes:
        host = (route.host or "").lower().rstrip(".")
        exact, prefix = (HOST_EXACT, HOST_PREFIX) if host else (EXACT, PREFIX)
        path = canonical(route.path.removesuffix("*"))
        if host:
            maps[HOSTS][host] = "1"
        if path is None:
            continue
        if not route.path.endswith("/*"):
            maps[exact].setdefault(host + path, route.backend)
            continue
        maps[prefix].setdefault(host + path, route.backend)
        if path != "/":
            implied.append((exact, host + path.removesuffix("/"), route.backend))
    for name, key, backend in implied:
        maps[name].setdefault(key, backend)
    return maps


def names_hosts(routes: Iterable[Route]) -> bool:
    return any(route.host for route in routes)


def canonical(path: str) -> str | None:
    """A route's path as the edge compares it with a request's. None when no request can have it: the edge refuses dot
    segments and null bytes; nor can a map's key hold the end of a line or a tab."""
    decoded = re.sub("/+", "/", unquote_to_bytes(path).decode(errors="surrogateescape"))
    if re.search(r"[\0\t\n\r]|/\.\.?(?:/|$)", decoded):
        return None
    return decoded.replace("%", "%25").replace(" ", "%20")


def map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())
