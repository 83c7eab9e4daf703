"""The direct way out, closed: an nftables table that rejects what the services' users send to other machines.

    table inet cloudlet-STACK-HASH    HASH names the state folder, so that two stacks share nothing

Services run as users of their own when cloudlet is root, so their packets are known by the sender's uid; set-uid
programs do not help them (no_new_privs). Let through is what stays on this machine (`lo`), but no DNS (port 53), not
even to a local resolver, which would carry out anything that is put into a name. Not a network namespace for each
service: their loopback, by which edge and engines reach them, would no longer be ours.

TCP is answered by a reset: `connect` over IPv6 waits on after an ICMP error.

The rules are the kernel's: they outlive cloudlet and are replaced in one transaction, without a moment between.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.errors import DependencyError
from cloudlet.stack import Stack

#: where administrators' programs are, though PATH of a shell without them may not say so
_PLACES = "/usr/sbin:/sbin:/usr/local/sbin"
#: seconds
_WITHIN = 10.0
_FIX = "or set egress.mode to advisory, which offers the proxy and closes nothing"


class Enforcement:
    """The table of the stack whose state is at these paths."""

    def __init__(self, paths: StatePaths) -> None:
        self._hash = hashlib.sha256(os.fsencode(paths.root)).hexdigest()[:8]

    def table(self, stack: str) -> str:
        """Its name, as `nft list tables` shows it."""
        return f"cloudlet-{stack}-{self._hash}"

    def problem(self, stack: Stack) -> str | None:
        """Why the file's `mode: enforced` cannot be had on this machine, and the fix; None when it can, or is not
        asked for. Changes nothing."""
        if stack.egress is None or stack.egress.mode != "enforced":
            return None
        if os.geteuid() != 0:
            return (
                f"egress cannot be enforced: cloudlet is not root, and its services are nobody's own; be root, {_FIX}"
            )
        if _nft() is None:
            return f"egress cannot be enforced: there is no `nft`; install nftables, {_FIX}"
        try:
            _run(ruleset(self.table(stack.name), [0]), "--check")
        except DependencyError as error:
            return f"egress cannot be enforced: {error}; give this container CAP_NET_ADMIN, {_FIX}"
        return None

    def apply(self, stack: str, uids: Collection[int]) -> None:
        """Close the direct way for these users and for no others, in one step. Raises DependencyError."""
        if not uids:
            return self.remove()
        old = "".join(map(_without, self.tables()))
        return _run(old + ruleset(self.table(stack), uids))

    def remove(self) -> None:
        """Open it again; nothing happens where it is not closed. Raises DependencyError."""
        if os.geteuid() == 0 and _nft() is not None and (tables := self.tables()):
            _run("".join(map(_without, tables)))

    def tables(self) -> list[str]:
        """Those that are there, of this name of the stack and of former ones. Raises DependencyError."""
        listed = _call(["list", "tables"], "")
        words = (line.split() for line in listed.stdout.splitlines())
        names = [line[2] for line in words if line[:2] == ["table", "inet"]]
        return [name for name in names if name.startswith("cloudlet-") and name.endswith(f"-{self._hash}")]


def ruleset(table: str, uids: Collection[int]) -> str:
    """The table anew, as one transaction of nft."""
    users = ", ".join(map(str, sorted(uids)))
    return f"""{_without(table)}
table inet {table} {{
    set services {{
        typeof meta skuid
        elements = {{ {users} }}
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        meta skuid != @services accept
        tcp dport 53 counter reject with tcp reset
        udp dport 53 counter reject with icmpx admin-prohibited
        oif lo accept
        meta l4proto tcp counter reject with tcp reset
        counter reject with icmpx admin-prohibited
    }}
}}
"""


def _without(table: str) -> str:
    """Deletes it whether or not it is there."""
    return f"table inet {table} {{}}\ndelete table inet {table}\n"


def _nft() -> str | None:
    return shutil.which("nft") or shutil.which("nft", path=_PLACES)


def _run(text: str, *options: str) -> None:
    done = _call([*options, "--file", "-"], text)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it did not say why"]
        raise DependencyError(f"nft refused the rules of egress: {said[0]}")


def _call(arguments: list[str], text: str) -> subprocess.CompletedProcess[str]:
    """Raises DependencyError."""
    program = _nft()
    if program is None:
        raise DependencyError("nft is not there any more; install nftables")
    try:
        return subprocess.run(
            [program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            cwd=Path("/"),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(f"nft did not do its work: {error}") from error
