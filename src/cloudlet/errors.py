"""Every exception that cloudlet raises on purpose, by who is at fault.

    CloudletError
    ├── OperatorError        the file, the command or the machine asks for what cannot be
    │   ├── StackError       problems in cloudlet.yaml, all of them at once
    │   ├── NotRunning       the command needs a running stack
    │   └── Refused          it could be done, but not now or not like this
    ├── DependencyError      something outside cloudlet failed
    │   ├── EngineMissing    no usable binary of an engine
    │   ├── EngineFailed     an engine did not start, answer or obey
    │   ├── Unhealthy        a service did not become healthy
    │   └── ProviderFailed   an identity provider did not answer, or not as it must
    └── InternalError        a bug of our own

A message is lower case, names the thing and the value, and says the reason and the fix. Foreign exceptions are
translated where they enter. `exit_code` is what the command line exits with (docs/reference/commands.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CloudletError(Exception):
    """The root: catch this to catch everything that cloudlet raises on purpose."""

    exit_code = 1


class OperatorError(CloudletError):
    """What was asked for cannot be; nothing was changed."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the file. `line` and `column` count from 1; 0 where there is no place to point at."""

    file: str
    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f"\n    fix: {self.fix}" if self.fix else "")


class StackError(OperatorError):
    """The file was read but does not describe a system; `problems` holds every reason found."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotRunning(OperatorError):
    """The command needs a running stack, and none answers."""

    exit_code = 4


class Refused(OperatorError):
    """The request conflicts with the present state."""

    exit_code = 7


class DependencyError(CloudletError):
    """Something outside cloudlet failed."""

    exit_code = 5


class EngineMissing(DependencyError):
    """No binary of the engine was found in a sufficient version."""


class EngineFailed(DependencyError):
    """An engine did not start, did not answer, or refused a command."""


class Unhealthy(DependencyError):
    """A service did not become healthy in the time it was given."""

    exit_code = 6


class ProviderFailed(DependencyError):
    """An identity provider, or the server of a key set, did not answer, or not as it must."""


class InternalError(CloudletError):
    """An invariant of cloudlet's own does not hold: a bug, please report it."""

    exit_code = 70
