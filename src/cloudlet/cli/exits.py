"""What an exit status says: one table for `cloudlet --help`, the documentation and the tests."""

from __future__ import annotations

from collections.abc import Mapping

EXITS: Mapping[int, tuple[str, str]] = {
    0: ("ok", "done"),
    1: ("failed", "`load` counted failures, or something failed that has no status of its own"),
    2: ("usage", "the command, an option or the machine asks for what cannot be; nothing was changed"),
    3: ("invalid", "cloudlet.yaml does not describe a system; every reason is printed"),
    4: ("not-running", "the command needs a running stack, and none answers"),
    5: ("dependency", "something outside cloudlet failed, or is missing: `cloudlet doctor`"),
    6: ("unhealthy", "not everything became healthy in the time it was given"),
    7: ("refused", "it conflicts with the present state; the message says how to go on"),
    70: ("bug", "a bug of cloudlet's own; CLOUDLET_DEBUG=1 shows where"),
    130: ("interrupted", "Ctrl-C"),
    141: ("pipe", "the program that read the output went away"),
}
OK, FAILED, INVALID, DEPENDENCY, BUG, INTERRUPTED, PIPE = 0, 1, 3, 5, 70, 130, 141
