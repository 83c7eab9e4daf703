"""Routes over several services, by weight: `txn.variant` is the one that a request got, and its backend.

A cookie that names one of them with a weight keeps a client there; any other value of it is as none. The cookie is set
with the first answer only, and an answer that sets it is for that client alone.
"""

from __future__ import annotations

from itertools import accumulate

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.edge.rendered import quoted
from cloudlet.edge.steps.fragment import NOTHING, Fragment
from cloudlet.edge.steps.groups import Group, groups
from cloudlet.stack.fields import Model
from cloudlet.stack.gateway.targets import Variant

_CHOSEN = "{ var(txn.variant) -m found }"


class _Spread(Model):
    """(backend, weight), those with none left out."""

    targets: tuple[tuple[str, int], ...]
    sticky: Variant | None


def spread(configuration: EdgeConfiguration) -> Fragment:
    found = groups(configuration, "spread", _wanted)
    if not found:
        return NOTHING
    return Fragment(
        rules=(
            *(line for group in found for line in _rules(group)),
            f"http-request set-var(txn.backend) var(txn.variant) if {_CHOSEN}",
        ),
        answers=tuple(
            line for group in found if group.setting.sticky for line in _answers(group, group.setting.sticky)
        ),
    )


def _wanted(route: Route) -> _Spread | None:
    targets = tuple((name, weight) for name, weight in route.targets if weight)
    return _Spread(targets=targets, sticky=route.design.sticky if route.design else None) if targets else None


def _rules(group: Group[_Spread]) -> list[str]:
    """Each target takes the dice below its bound, the last one the rest."""
    names = [name for name, _ in group.setting.targets]
    bounds = list(accumulate(weight for _, weight in group.setting.targets))
    open_ = f"{group.gate}!{_CHOSEN}"
    below = [*(f" {{ var(txn.dice) -m int lt {bound} }}" for bound in bounds[:-1]), ""]
    return [
        *group.lines,
        *(_keep(group, names, group.setting.sticky) if group.setting.sticky else ()),
        f"http-request set-var(txn.dice) rand({bounds[-1]}) if {open_}",
        *(
            f"http-request set-var(txn.variant) str({name}) if {open_}{less}"
            for name, less in zip(names, below, strict=True)
        ),
    ]


def _keep(group: Group[_Spread], names: list[str], sticky: Variant) -> list[str]:
    cookie = f"req.cook({sticky.cookie})"
    return [f"http-request set-var(txn.variant) {cookie} if {group.gate}{{ {cookie} -m str {' '.join(names)} }}"]


def _answers(group: Group[_Spread], sticky: Variant) -> list[str]:
    value = f"{sticky.cookie}=%[var(txn.variant)]; Path=/; Max-Age={round(sticky.lifetime)}; HttpOnly; SameSite=Lax"
    new = f"{group.gate}{{ var(txn.dice) -m found }}"
    return [
        f"http-response add-header set-cookie {quoted(value)} if {new} !{{ ssl_fc }}",
        f"http-response add-header set-cookie {quoted(value + '; Secure')} if {new} {{ ssl_fc }}",
        f"http-response add-header cache-control private if {new}",
    ]
