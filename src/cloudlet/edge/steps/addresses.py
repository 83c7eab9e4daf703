"""Lists of addresses that may ask, or may not: one map for each list, looked up by the longest prefix.

    addresses-N.map   network → 1, of the Nth list; exchanged over the socket when its file changes

The gateway's lists and a route's own hold together. An address refused has `txn.refused` "address".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudlet.contracts.edge import EdgeConfiguration
from cloudlet.contracts.guard import Guard
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.labels import condition
from cloudlet.errors import InternalError
from cloudlet.stack.gateway.requirements import AddressList

_REFUSED = "address"


@dataclass(slots=True)
class _Use:
    """Where one list counts: for all requests, or for those of some routes."""

    everywhere: bool = False
    labels: list[str] = field(default_factory=list)


def fragment(configuration: EdgeConfiguration) -> Fragment:
    uses = _uses(configuration)
    if not uses:
        return NOTHING
    numbers = {addresses: number for number, addresses in enumerate(dict.fromkeys(item for _, item in uses), 1)}
    guard = configuration.guard or Guard()
    return Fragment(
        rules=(
            "# lists of addresses",
            *(line for (kind, item), use in uses.items() for line in _rules(kind, numbers[item], use)),
            f"http-request return status 403 default-errorfiles if {{ var(txn.refused) -m str {_REFUSED} }}",
        ),
        maps={_map(number): _entries(addresses, guard) for addresses, number in numbers.items()},
    )


def _uses(configuration: EdgeConfiguration) -> Mapping[tuple[str, AddressList], _Use]:
    """By (`allow` or `deny`, list): routes with equal lists share the rule and the map."""
    uses: dict[tuple[str, AddressList], _Use] = {}
    for kind in ("allow", "deny"):
        common: AddressList | None = getattr(configuration.gateway, kind)
        if common is not None:
            uses.setdefault((kind, common), _Use()).everywhere = True
        for route in configuration.routes:
            own: AddressList | None = getattr(route.design, kind) if route.design else None
            if own is not None:
                uses.setdefault((kind, own), _Use()).labels.append(route.label)
    return uses


def _rules(kind: str, number: int, use: _Use) -> tuple[str, ...]:
    """A route that takes the gateway's own list once more needs no rule for that."""
    found = f"{{ src,map_ip({_map(number)}) -m found }}"
    name = f"{kind}-{number}"
    lines = () if use.everywhere else condition(name, use.labels)
    gate = "" if use.everywhere else f"{name} "
    refused = found if kind == "deny" else f"!{found}"
    return (*lines, f"http-request set-var(txn.refused) str({_REFUSED}) if {gate}{refused}")


def _entries(addresses: AddressList, guard: Guard) -> Mapping[str, str]:
    if addresses.file is not None and str(addresses.file) not in guard.networks:
        raise InternalError(f"the edge was not given the addresses in {addresses.file}")
    listed = guard.networks[str(addresses.file)] if addresses.file is not None else ()
    return dict.fromkeys((*addresses.addresses, *listed), "1")


def _map(number: int) -> str:
    return f"addresses-{number}.map"
