"""What is wanted of a stack now: the file as last applied, and what commands changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from cloudlet.control import planning
from cloudlet.control.journal import Journal
from cloudlet.control.store import Instance, Store
from cloudlet.control.views import PlanView
from cloudlet.errors import OperatorError, Refused
from cloudlet.policy.lifecycle import Phase
from cloudlet.stack import Service, Stack, check, parse

#: as in the file
_MOST_INSTANCES = 1000


class Desired:
    """Reads and records the desired state. `stack` is None until a file was accepted.

    `complete` adds what cloudlet needs of its own; `stack` is complete, what `plan` and `accept` are given is as the
    file says.

    `leaving` holds the services that the file has no more, until `forget` when their last instance has gone.
    """

    def __init__(self, file: Path, store: Store, journal: Journal, complete: Callable[[Stack], Stack]) -> None:
        self.file = file
        self._store, self._journal, self._complete = store, journal, complete
        self.going_down = False
        self._stack = self._recorded()
        self._scaled = store.scaled()
        self._orphans: list[Instance] = []
        self.leaving = self._left()

    def _recorded(self) -> Stack | None:
        desired = self._store.desired()
        try:
            return self._complete(parse(desired[1], Path(desired[0]))) if desired else None
        except OperatorError as error:
            self._journal.warning("cloudlet", "the recorded file is of no use any more", str(error))
            return None

    def _left(self) -> dict[str, Service]:
        """The services whose instances are still recorded though the file has them no more, as the last file that
        had them says. Those that no file describes are orphans."""
        present = self._stack.services if self._stack else {}
        orphans = [i for i in self._store.instances() if i.service not in present]
        missing, found = {i.service for i in orphans}, dict[str, Service]()
        for file, text in self._store.past() if missing else ():
            with contextlib.suppress(OperatorError):
                services = self._complete(parse(text, Path(file))).services
                found |= {name: services[name] for name in missing - set(found) if name in services}
            if found.keys() == missing:
                return found
        self._orphans = [instance for instance in orphans if instance.service not in found]
        return found

    @property
    def stack(self) -> Stack:
        assert self._stack is not None, "a file is accepted before anything asks for it"
        return self._stack

    def service(self, name: str) -> Service:
        """The service of that name, also one that is leaving."""
        return self.stack.services.get(name) or self.leaving[name]

    def knows(self, name: str) -> bool:
        return self._stack is not None and (name in self._stack.services or name in self.leaving)

    def services(self) -> Mapping[str, Service]:
        """Every service, those that are leaving too."""
        return {**self.leaving, **self.stack.services}

    def wanted(self, name: str) -> int:
        """How many instances are wanted: what a command set, else the file's minimum; none of one that leaves."""
        if self.going_down or name not in self.stack.services:
            return 0
        return self._scaled.get(name, self.stack.services[name].instances.min)

    def wanted_by(self, name: str) -> str:
        return "scale" if name in self._scaled else "file"

    def plan(self, new: Stack) -> PlanView:
        """What accepting `new` would change. Raises Refused when a service that answers would change its protocol."""
        completed = self._complete(new)
        self._refuse_other_protocols(completed)
        return PlanView(
            changes=planning.changes(self._stack, completed, self._scaled),
            undoes=list(planning.undoes(completed, self._scaled).values()),
            warnings=[str(problem) for problem in check(new)],
        )

    def _refuse_other_protocols(self, new: Stack) -> None:
        known = self.services() if self._stack is not None else self.leaving
        for instance in self._store.instances():
            old, wanted = known.get(instance.service), new.services.get(instance.service)
            answers = instance.phase in (Phase.SERVING, Phase.DRAINING)
            if answers and old is not None and wanted is not None and old.protocol != wanted.protocol:
                raise Refused(
                    f"{instance.service} changes its protocol from {old.protocol} to {wanted.protocol}: its present "
                    "instances would be spoken to wrongly; take it down first or give it another name"
                )

    def accept(self, new: Stack) -> None:
        """Want this from now on, and take back what commands changed; durable on return. The record of an instance
        that no file describes is dropped: whatever runs of it is a stranger."""
        new = self._complete(new)
        for instance in self._orphans:
            if instance.service not in new.services:
                self._store.delete(instance.name)
        gone = set(self._scaled) - set(new.services)
        self._store.unscale({*planning.undoes(new, self._scaled), *gone})
        if self._store.desired() != (str(new.file), new.text):
            self._store.desire(str(new.file), new.text)
            self._journal.info(new.name, "applied", f"{new.file.name} describes it")
        known = {**self.leaving, **(self._stack.services if self._stack else {})}
        self.leaving = {name: service for name, service in known.items() if name not in new.services}
        self._stack, self._scaled = new, self._store.scaled()

    def scale(self, counts: Mapping[str, int]) -> None:
        """Want these counts until the file is applied again. Raises Refused, and then changes nothing."""
        for name, count in counts.items():
            self._check_count(name, count)
        self._store.scale(dict(counts))
        self._scaled = self._store.scaled()
        for name, count in counts.items():
            self._journal.info(name, f"scaled to {count}", "a command asked for it")

    def _check_count(self, name: str, count: int) -> None:
        service = self.stack.services.get(name)
        if service is None:
            raise Refused(f"there is no service {name!r}; the stack has {', '.join(self.stack.services)}")
        low, high = service.instances.min, service.instances.max
        if count > _MOST_INSTANCES:
            raise Refused(f"cannot scale {name} to {count}: {_MOST_INSTANCES} instances of a service are the most")
        if count < 0 or (low < high and not low <= count <= high):
            allowed = f"{low} to {high}" if low < high else "0 or more"
            raise Refused(f"cannot scale {name} to {count}: the file allows {allowed}; change its instances there")

    def forget(self, name: str) -> None:
        """The last instance of a leaving service has gone."""
        self.leaving.pop(name, None)
