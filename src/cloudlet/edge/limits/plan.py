"""Which limits a request is under. Each takes a *slot*, by which its variables and its sticky counter are numbered:
those of the gateway first, then the route's; and first those that need no identity, because they come earlier in a
request's life. Routes with equal limits are one *group* and share their rules."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from cloudlet.contracts.edge import EdgeConfiguration, Route
from cloudlet.policy.limits.decision import SECOND, Quota
from cloudlet.policy.limits.engine import in_store
from cloudlet.stack.gateway.limits import RateLimit
from cloudlet.stack.units import format_rate

#: route → group, route → identifier that is short and stays the same
GROUPS, ROUTES = "limit-groups.map", "limit-routes.map"
_BUCKETS = ("token-bucket", "leaky-bucket")


class Stage(Enum):
    """Before anybody is asked who they are, and after."""

    ADDRESSES = "addresses"
    IDENTITIES = "identities"

    def takes(self, limit: RateLimit) -> bool:
        return (limit.per in ("user", "key")) is (self is Stage.IDENTITIES)


@dataclass(frozen=True, slots=True)
class Slot:
    """One limit of a group, in a request. `name` is what clients and the log are told."""

    number: int
    limit: RateLimit
    #: it counts all routes together
    common: bool
    name: str
    stored: bool

    @property
    def table(self) -> str:
        """The same in the next configuration, so that counts go over to it; another limit is another table."""
        scope = "all" if self.common else "each"
        per = self.limit.per.replace(":", ".")
        rate = format_rate(self.limit.rate).replace("/", ".")
        burst = f".{self.burst}" if self.is_bucket else ""
        return f"cloudlet-limit.{scope}.{per}.{self.limit.algorithm}.{rate}{burst}"

    @property
    def is_bucket(self) -> bool:
        return self.limit.algorithm in _BUCKETS

    @property
    def burst(self) -> int:
        return self.limit.burst if self.limit.burst is not None else max(1, math.floor(self.limit.rate.count))

    @property
    def quota(self) -> Quota:
        return Quota(self.limit.rate.count, round(self.limit.rate.per * SECOND), self.burst)

    @property
    def holds(self) -> int:
        """Requests that pass at once when nobody has asked for long; a leaky bucket lets one go and has others wait."""
        if not self.is_bucket:
            return int(self.limit.rate.count)
        return self.burst + (self.limit.algorithm == "leaky-bucket")

    @property
    def policy(self) -> str:
        """As the RateLimit-Policy field has it: `holds` in the time in which they come back."""
        seconds = self.limit.rate.per * (self.holds / self.limit.rate.count if self.is_bucket else 1)
        return f"{self.name};q={self.holds};w={max(1, math.ceil(round(seconds, 6)))}"


@dataclass(frozen=True, slots=True)
class Group:
    """Routes under the same limits; number 0 stands for every request, whatever its route."""

    number: int
    slots: tuple[Slot, ...]
    labels: tuple[str, ...] = ()

    @property
    def gate(self) -> str:
        return f"{{ var(txn.limits) -m int eq {self.number} }}" if self.number else ""

    def of(self, stage: Stage) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if stage.takes(slot.limit))


@dataclass(frozen=True, slots=True)
class Plan:
    """All limits of a configuration. `common` is group 0."""

    common: Group
    groups: tuple[Group, ...]
    labels: tuple[str, ...]

    @property
    def everyone(self) -> tuple[Group, ...]:
        return (self.common, *self.groups)

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(slot for group in self.everyone for slot in group.slots)

    @property
    def first_stage(self) -> Stage:
        """Of those in which some limit is looked at."""
        return next((stage for stage in Stage if any(stage.takes(slot.limit) for slot in self.slots)), Stage.ADDRESSES)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(sorted({slot.number for slot in self.slots}))

    def policy(self, number: int) -> str | None:
        """What the slot's limit is called, where that is the same in all groups: then it is written into the rules, and
        no variable is needed."""
        found = {slot.policy for slot in self.slots if slot.number == number}
        return found.pop() if len(found) == 1 else None

    def native(self) -> dict[str, Slot]:
        """One slot for each stick table."""
        return {slot.table: slot for slot in self.slots if not slot.stored}

    @property
    def needs_routes(self) -> bool:
        """Whether some limit counts each route by itself."""
        return bool(self.groups) or any(slot.limit.per == "endpoint" for slot in self.slots)


def plan(configuration: EdgeConfiguration) -> Plan:
    shared = configuration.replicas > 1
    common = configuration.gateway.rate_limits
    own = _grouped(configuration.routes)
    first = 0
    common_numbers: list[int] = []
    numbers: dict[Stage, int] = {}
    for stage in Stage:
        count = sum(stage.takes(limit) for limit in common)
        common_numbers += range(first, first + count)
        numbers[stage] = first + count
        first += count + max((sum(stage.takes(limit) for limit in limits) for limits in own), default=0)
    staged = [limit for stage in Stage for limit in common if stage.takes(limit)]
    names = _names(staged, "all-", ())
    slots = tuple(
        Slot(number, limit, True, name, in_store(limit, shared=shared))
        for number, limit, name in zip(common_numbers, staged, names, strict=True)
    )
    groups = tuple(
        Group(number, _own_slots(limits, numbers, names, shared=shared), labels)
        for number, (limits, labels) in enumerate(own.items(), 1)
    )
    return Plan(Group(0, slots), groups, tuple(route.label for route in configuration.routes))


def _grouped(routes: Iterable[Route]) -> dict[tuple[RateLimit, ...], tuple[str, ...]]:
    """Ordered by the limits themselves, so that a route more or less does not number them anew."""
    found: dict[tuple[RateLimit, ...], tuple[str, ...]] = {}
    for route in routes:
        limits = route.design.rate_limits if route.design else ()
        if limits:
            found[limits] = (*found.get(limits, ()), route.label)
    return dict(sorted(found.items(), key=lambda item: repr(item[0])))


def _own_slots(
    limits: Sequence[RateLimit], first: dict[Stage, int], taken: Sequence[str], *, shared: bool
) -> tuple[Slot, ...]:
    staged = [(stage, [limit for limit in limits if stage.takes(limit)]) for stage in Stage]
    names = iter(_names([limit for _, part in staged for limit in part], "", taken))
    return tuple(
        Slot(first[stage] + place, limit, False, next(names), in_store(limit, shared=shared))
        for stage, part in staged
        for place, limit in enumerate(part)
    )


def _names(limits: Iterable[RateLimit], prefix: str, taken: Sequence[str]) -> tuple[str, ...]:
    """`client-100/m`, with the algorithm where that would be said of two."""
    names: list[str] = []
    for limit in limits:
        name = f"{prefix}{limit.per.removeprefix('header:')}-{format_rate(limit.rate)}"
        if name in names or name in taken:
            name = f"{name}-{limit.algorithm}{limit.burst or ''}"
        names.append(name)
    return tuple(names)


def identifier(label: str) -> str:
    """Of a route within keys, which must not grow with its path."""
    return hashlib.sha256(label.encode(errors="surrogateescape")).hexdigest()[:12]


def maps(made: Plan) -> dict[str, dict[str, str]]:
    groups = {label: str(group.number) for group in made.groups for label in group.labels}
    found = {GROUPS: groups} if groups else {}
    return {**found, ROUTES: {label: identifier(label) for label in made.labels}} if made.needs_routes else found
