"""The life of a service's instances, decided purely: its invariants over every interleaving Hypothesis finds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cloudlet.policy.lifecycle import (
    ALIVE,
    GiveUp,
    InstanceView,
    Phase,
    Resume,
    Retire,
    ServiceView,
    Start,
    Stop,
    decide,
)

NOW = 1000.0


def view(*instances: InstanceView, wanted: int = 2, **more: object) -> ServiceView:
    return ServiceView("orders", wanted, "new", tuple(instances), **more)  # type: ignore[arg-type]


def instance(ordinal: int, phase: Phase = Phase.SERVING, revision: str = "new", **more: object) -> InstanceView:
    return InstanceView(f"orders-{ordinal}", ordinal, revision, phase, NOW, **more)  # type: ignore[arg-type]


def test_starts_what_is_missing_in_the_lowest_free_slots():
    """Slots are reused from the lowest, so that names stay small and hashing stays put."""
    assert [a.name for a in decide(view(instance(2), wanted=3), NOW)] == ["orders-1", "orders-3"]


def test_rests_when_everything_is_as_wanted():
    """A service as it should be asks for nothing."""
    assert decide(view(instance(1), instance(2)), NOW) == ()


def test_starts_nothing_while_an_engine_it_uses_is_not_ready():
    """A blocked service waits instead of crashing its instances."""
    assert decide(view(blocked="waiting for shop-db"), NOW) == ()


def test_replaces_one_by_one_without_falling_below_the_wanted_number():
    """With max_surge 1 and max_unavailable 0 the new one serves before an old one is retired."""
    old = [instance(1, revision="old"), instance(2, revision="old")]
    assert [type(a) for a in decide(view(*old), NOW)] == [Start]
    assert decide(view(*old, instance(3, Phase.STARTING)), NOW) == ()
    retired = decide(view(*old, instance(3)), NOW)
    assert [(type(a), a.name) for a in retired] == [(Retire, "orders-1")]


def test_replaces_in_place_when_no_surge_is_allowed():
    """With max_surge 0 an old one goes first, within max_unavailable."""
    old = [instance(1, revision="old"), instance(2, revision="old")]
    assert [type(a) for a in decide(view(*old, max_surge=0, max_unavailable=1), NOW)] == [Retire]


def test_a_new_revision_that_never_serves_leaves_the_old_ones_alone():
    """A broken release takes nothing away from the one that works."""
    old = [instance(1, revision="old"), instance(2, revision="old")]
    broken = instance(3, Phase.BACKOFF, resume_at=NOW + 5)
    assert decide(view(*old, broken), NOW) == ()


def test_stops_a_drained_instance_at_once_and_a_busy_one_after_its_drain_time():
    """Requests in flight are given the drain time, and no longer than they need."""
    idle, busy, unknown = (
        instance(3, Phase.DRAINING, sessions=0),
        instance(4, Phase.DRAINING, sessions=1),
        instance(5, Phase.DRAINING, sessions=None),
    )
    serving = (instance(1), instance(2))
    assert decide(view(*serving, idle, busy, unknown), NOW) == (Stop("orders-3", "it has no request left"),)
    assert len(decide(view(*serving, busy, unknown), NOW + 30)) == 2


def test_gives_up_on_an_instance_that_does_not_become_healthy():
    """`start_within` bounds how long a process may take."""
    slow = instance(2, Phase.STARTING)
    assert decide(view(instance(1), slow), NOW + 59) == ()
    assert [type(a) for a in decide(view(instance(1), slow), NOW + 60)] == [GiveUp]


def test_resumes_after_the_backoff_and_not_before():
    """A crashed process waits its turn."""
    crashed = instance(2, Phase.BACKOFF, resume_at=NOW + 1)
    assert decide(view(instance(1), crashed), NOW) == ()
    assert [type(a) for a in decide(view(instance(1), crashed), NOW + 1)] == [Resume]


def test_a_requested_restart_is_a_rolling_replacement():
    """`cloudlet restart` never takes more than the deployment allows."""
    both = [instance(1, replace=True), instance(2, replace=True)]
    assert [type(a) for a in decide(view(*both), NOW)] == [Start]


class AService(RuleBasedStateMachine):
    """Acts on each decision as the control plane does, while instances crash, become ready and finish requests."""

    @initialize(wanted=st.integers(0, 5), surge=st.integers(0, 3), unavailable=st.integers(0, 3), drain=st.floats(0, 5))
    def begin(self, wanted: int, surge: int, unavailable: int, drain: float) -> None:
        self.now, self.crashed = 0.0, False
        self.instances: dict[str, InstanceView] = {}
        self.service = ServiceView(
            "s",
            wanted,
            "r0",
            (),
            max_surge=surge or (0 if unavailable else 1),
            max_unavailable=unavailable,
            drain=drain,
        )

    def turn(self) -> None:
        alive_before = self.count(*ALIVE)
        serving_before = self.count(Phase.SERVING)
        for action in decide(replace(self.service, instances=tuple(self.instances.values())), self.now):
            self.act(action)
        limit = self.service.wanted + self.service.max_surge
        assert self.count(*ALIVE) <= max(limit, alive_before)
        floor = self.service.wanted - self.service.max_unavailable
        assert self.count(Phase.SERVING) >= min(floor, serving_before)

    def act(self, action: object) -> None:
        if isinstance(action, Start):
            assert action.name not in self.instances
            revision = self.service.revision
            fresh = InstanceView(action.name, action.ordinal, revision, Phase.STARTING, self.now)
            self.instances[action.name] = fresh
        elif isinstance(action, Resume):
            self.move(action.name, Phase.STARTING, revision=self.service.revision, replace=False)
        elif isinstance(action, Retire):
            phase = self.instances[action.name].phase
            if phase is Phase.SERVING:
                self.move(action.name, Phase.DRAINING, sessions=2)
            else:
                del self.instances[action.name]
        elif isinstance(action, GiveUp):
            self.move(action.name, Phase.BACKOFF, resume_at=self.now + 1)
        elif isinstance(action, Stop):
            found = self.instances[action.name]
            assert found.sessions == 0 or self.now - found.since >= self.service.drain
            del self.instances[action.name]

    def move(self, name: str, phase: Phase, **more: object) -> None:
        found = replace(self.instances[name], phase=phase, since=self.now, **more)  # type: ignore[arg-type]
        self.instances[name] = found

    def count(self, *phases: Phase) -> int:
        return sum(found.phase in phases for found in self.instances.values())

    def some(self, pick: int, *phases: Phase) -> str | None:
        names = [name for name, found in self.instances.items() if found.phase in phases]
        return names[pick % len(names)] if names else None

    @rule()
    def look(self) -> None:
        self.turn()

    @rule(pick=st.integers(0, 9))
    def becomes_ready(self, pick: int) -> None:
        if name := self.some(pick, Phase.STARTING):
            self.move(name, Phase.SERVING)

    @rule(pick=st.integers(0, 9))
    def crashes(self, pick: int) -> None:
        if name := self.some(pick, Phase.STARTING, Phase.SERVING):
            self.move(name, Phase.BACKOFF, resume_at=self.now + 1)

    @rule(pick=st.integers(0, 9))
    def finishes_its_requests(self, pick: int) -> None:
        if name := self.some(pick, Phase.DRAINING):
            self.instances[name] = replace(self.instances[name], sessions=0)

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(wanted=st.integers(0, 5))
    def is_scaled(self, wanted: int) -> None:
        self.service = replace(self.service, wanted=wanted)

    @rule(revision=st.sampled_from(["r0", "r1", "r2"]))
    def is_released(self, revision: str) -> None:
        self.service = replace(self.service, revision=revision)

    @rule()
    def is_restarted(self) -> None:
        self.instances = {name: replace(i, replace=True) for name, i in self.instances.items()}

    @invariant()
    def names_are_unique_slots(self) -> None:
        ordinals = [found.ordinal for found in self.instances.values()]
        assert len(ordinals) == len(set(ordinals))

    def teardown(self) -> None:
        """From wherever it is, with instances that become ready, it comes to rest as wanted."""
        if not hasattr(self, "service"):
            return
        for _ in range(60):
            self.now += 10
            self.turn()
            for name in [n for n, found in self.instances.items() if found.phase is Phase.STARTING]:
                self.move(name, Phase.SERVING)
            for name in [n for n, found in self.instances.items() if found.phase is Phase.DRAINING]:
                self.instances[name] = replace(self.instances[name], sessions=0)
        assert self.count(Phase.SERVING) == len(self.instances) == self.service.wanted
        assert all(i.revision == self.service.revision for i in self.instances.values())


TestAService = AService.TestCase
TestAService.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
