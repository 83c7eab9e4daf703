"""Outbound rules: they name services that are there, and none of them is without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloudlet.stack.destinations import MAIL, Destination, Network
from cloudlet.stack.egress import Rules
from cloudlet.stack.findings import Finding, dotted, suggestion
from cloudlet.stack.nodes import Path
from cloudlet.stack.rules.design import Design, Rule

_EGRESS = ("egress",)


def known_services(design: Design) -> Iterator[Finding]:
    egress = design.stack.egress
    known = design.declared("services")
    for name in egress.services if egress else ():
        if name not in known:
            path: Path = (*_EGRESS, "services", name)
            message = f'{dotted(path)}: there is no service "{name}"'
            yield Finding(path, message, suggestion(name, known, "there are"), key=True)


def default_used(design: Design) -> Iterator[Finding]:
    """The default is for services without rules of their own: there must be one."""
    egress, known = design.stack.egress, design.declared("services")
    if egress is None or egress.default == Rules() or not known:
        return
    if all(name in egress.services for name in known):
        path: Path = (*_EGRESS, "default")
        message = f"{dotted(path)} has no effect: every service has rules of its own"
        yield Finding(path, message, "remove it, or the rules of a service", key=True)


def without_effect(design: Design) -> Iterator[Finding]:
    """A rule that another one always decides before."""
    for path, rules in _all_rules(design):
        allowed, denied = rules.allowed, rules.denied
        for index, item in enumerate(allowed):
            yield from _allow(item, (*path, "allow", index), allowed, index, denied)
        for index, item in enumerate(denied):
            yield from _deny(item, (*path, "deny", index), denied, index, allowed)


def _allow(
    item: Destination, path: Path, allowed: tuple[Destination, ...], index: int, denied: tuple[Destination, ...]
) -> Iterator[Finding]:
    for other in denied:
        if covers(other, item):
            message = f'{dotted(path)}: "{item.text}" stays denied, by "{other.text}" below deny'
            yield Finding(path, message, "remove one of the two")
            return
    twin = _covered(item, allowed, index, but=_adds)
    if twin is not None:
        yield Finding(path, f'{dotted(path)}: "{item.text}" is already covered by "{twin.text}"', "remove it")


def _deny(
    item: Destination, path: Path, denied: tuple[Destination, ...], index: int, allowed: tuple[Destination, ...]
) -> Iterator[Finding]:
    twin = _covered(item, denied, index)
    if twin is not None:
        yield Finding(path, f'{dotted(path)}: "{item.text}" is already covered by "{twin.text}"', "remove it")
    elif not any(_meet(item, other) for other in allowed):
        message = f'{dotted(path)}: "{item.text}" has no effect: nothing that is allowed could be it'
        yield Finding(path, message, "remove it; what is not allowed is refused anyway")


def _adds(item: Destination, wide: Destination) -> bool:
    """`*` lets nobody into private networks, and no rule without a port lets anybody send mail."""
    return (wide.anything and item.network is not None) or (item.port == MAIL != wide.port)


def _covered(
    item: Destination,
    among: tuple[Destination, ...],
    index: int,
    but: Callable[[Destination, Destination], bool] = lambda _, __: False,
) -> Destination | None:
    """Another rule that covers this one, `but` where this one adds something to it; of two equal ones the later is the
    superfluous one."""
    for number, other in enumerate(among):
        earlier = number < index or not covers(item, other)
        if number != index and earlier and covers(other, item) and not but(item, other):
            return other
    return None


def covers(wide: Destination, narrow: Destination) -> bool:
    """Whether whatever `narrow` covers is covered by `wide`."""
    if wide.port not in (None, narrow.port):
        return False
    if wide.anything:
        return True
    if wide.network is not None:
        return narrow.network is not None and _within(narrow.network, wide.network)
    if wide.below:
        return f".{narrow.below}".endswith(f".{wide.below}") or narrow.name.endswith(f".{wide.below}")
    return wide.name == narrow.name


def _meet(one: Destination, other: Destination) -> bool:
    """Whether something may be covered by both. What a name leads to nobody knows, so a network may meet every
    name."""
    if None not in (one.port, other.port) and one.port != other.port:
        return False
    if one.anything or other.anything:
        return True
    if one.network is not None and other.network is not None:
        return one.network.version == other.network.version and one.network.overlaps(other.network)
    if one.network is not None or other.network is not None:
        return one.network is not None
    return covers(_portless(one), _portless(other)) or covers(_portless(other), _portless(one))


def _portless(item: Destination) -> Destination:
    return Destination(item.text, item.name, item.below, item.network)


def _within(narrow: Network, wide: Network) -> bool:
    return narrow.version == wide.version and wide.supernet_of(narrow)  # type: ignore[arg-type]


def _all_rules(design: Design) -> Iterator[tuple[Path, Rules]]:
    egress = design.stack.egress
    if egress is not None:
        yield (*_EGRESS, "default"), egress.default
        for name, rules in egress.services.items():
            yield (*_EGRESS, "services", name), rules


RULES: tuple[Rule, ...] = (known_services, default_used, without_effect)
