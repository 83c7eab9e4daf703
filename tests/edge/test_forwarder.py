"""The UDP forwarder as a process, with real sockets on every side."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGHUP

import pytest

from cloudlet.edge.forwarder.statistics import read_statistics
from cloudlet.edge.forwarder.targets import Target, Targets, read_targets
from cloudlet.errors import OperatorError

#: seconds that anything here may take
DEADLINE = 10.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        time.sleep(0.005)


def udp_socket(family: int = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.settimeout(DEADLINE)
    return made


class Server:
    """A target: answers every datagram with its own name, a colon and what it got."""

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        self.name, self.host = name, host
        self.socket = udp_socket(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        self.port = self.socket.getsockname()[1]
        self.seen: list[bytes] = []
        self.senders: set[tuple] = set()
        #: set: it answers
        self.answering = threading.Event()
        self.answering.set()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            data, sender = self.socket.recvfrom(65535)
            if data == b"end" and sender[0] == self.host and sender[1] == self.port:
                return
            self.seen.append(data)
            self.senders.add(sender)
            self.answering.wait(DEADLINE)
            self.socket.sendto(self.name.encode() + b":" + data, sender)

    def entry(self) -> dict[str, object]:
        return {"name": self.name, "host": self.host, "port": self.port}

    def close(self) -> None:
        if self.thread.is_alive():
            self.answering.set()
            self.socket.sendto(b"end", self.socket.getsockname())
            self.thread.join(DEADLINE)
        self.socket.close()


class Running:
    """A forwarder process on a socket that outlives it."""

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        self.targets, self.statistics = folder / "targets.json", folder / "statistics"
        self.errors = folder / "errors"
        self.listening = listening
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple:
        return self.listening.getsockname()

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "cloudlet.edge.forwarder"]
        command += ["--socket-fd", str(self.listening.fileno()), "--targets", str(self.targets)]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, "--statistics", str(self.statistics), *options],
                pass_fds=[self.listening.fileno()],
                stderr=errors,
                env={"PATH": os.defpath},
            )

    def write(self, *servers: Server) -> None:
        fresh = self.targets.with_suffix(".new")
        fresh.write_text(json.dumps({"targets": [server.entry() for server in servers]}))
        fresh.replace(self.targets)

    def aim(self, *servers: Server) -> None:
        """Write other targets and tell the process; wait for their effect where it matters."""
        self.write(*servers)
        self.reload()

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(SIGHUP)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(DEADLINE) == 0
            self.process = None

    def counted(self, name: str) -> int:
        return int(getattr(read_statistics(self.statistics), name))


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made = [Server(f"t-{number}") for number in range(1, 5)]
    yield made
    for server in made:
        server.close()


@contextmanager
def forwarding(folder: Path, listening: socket.socket) -> Iterator[Running]:
    running = Running(folder, listening)
    try:
        with listening:
            yield running
    finally:
        running.stop()


@pytest.fixture
def forwarder(tmp_path: Path) -> Iterator[Running]:
    with forwarding(tmp_path, udp_socket()) as running:
        yield running


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    made = [udp_socket() for _ in range(80)]
    yield made
    for client in made:
        client.close()


def ask(client: socket.socket, address: tuple, data: bytes = b"hello") -> str:
    """The name of the target that answered."""
    client.sendto(data, address)
    answer, source = client.recvfrom(65535)
    assert source[:2] == address[:2], "a reply comes from where the client wrote to"
    name, _, echoed = answer.partition(b":")
    assert echoed == data
    return name.decode()


def test_spreads_clients_and_replies_from_its_own_address(
    forwarder: Running, servers: list[Server], clients: list[socket.socket]
) -> None:
    """Every target gets clients, no client is left without an answer, and each keeps its target."""
    forwarder.write(*servers)
    forwarder.start()
    first = [ask(client, forwarder.address) for client in clients]
    assert len(Counter(first)) == 4
    assert max(Counter(first).values()) < 45
    for _ in range(3):
        assert [ask(client, forwarder.address) for client in clients] == first


def test_only_the_clients_of_a_target_that_leaves_move(
    forwarder: Running, servers: list[Server], clients: list[socket.socket]
) -> None:
    """All others keep theirs, also when it comes back under a new port."""
    forwarder.write(*servers)
    forwarder.start()
    before = [ask(client, forwarder.address) for client in clients]
    forwarder.aim(*servers[1:])
    witness = clients[before.index("t-1")]
    until(lambda: ask(witness, forwarder.address) != "t-1", "the target is out")
    after = [ask(client, forwarder.address) for client in clients]
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {"t-1"}
    assert "t-1" not in after
    again = Server("t-1")
    forwarder.aim(again, *servers[1:])
    fresh = [udp_socket() for _ in range(40)]
    until(lambda: "t-1" in {ask(client, forwarder.address) for client in fresh}, "the target is in again")
    assert [ask(client, forwarder.address) for client in clients] == after, "a client keeps its target"
    again.close()
    for client in fresh:
        client.close()


def test_a_reload_under_load_loses_nothing_to_the_others(
    forwarder: Running, servers: list[Server], clients: list[socket.socket]
) -> None:
    """Targets come and go thirty times, while clients of one that stays ask on and count their answers."""
    forwarder.write(*servers)
    forwarder.start()
    staying = [client for client in clients if ask(client, forwarder.address) == "t-4"]
    asked = 0
    for turn in range(30):
        forwarder.aim(*servers[turn % 3 :])
        for client in staying:
            assert ask(client, forwarder.address) == "t-4"
            asked += 1
    assert asked >= 30


def test_replies_on_their_way_from_a_leaving_target_still_arrive(forwarder: Running, servers: list[Server]) -> None:
    """A target that drains finishes what it was asked."""
    forwarder.write(servers[0])
    forwarder.start()
    with udp_socket() as client:
        assert ask(client, forwarder.address) == "t-1"
        servers[0].answering.clear()
        client.sendto(b"slow", forwarder.address)
        until(lambda: b"slow" in servers[0].seen, "the target has the question")
        forwarder.aim(servers[1])
        until(lambda: _a_new_client_gets(forwarder, "t-2"), "the other target is in")
        servers[0].answering.set()
        assert client.recv(100) == b"t-1:slow"
        assert ask(client, forwarder.address) == "t-2"


def _a_new_client_gets(forwarder: Running, name: str) -> bool:
    """Whether it is this target that answers; does not wait for one that holds its answers."""
    with udp_socket() as client:
        client.settimeout(0.05)
        client.sendto(b"hello", forwarder.address)
        try:
            return client.recv(100).startswith(name.encode())
        except TimeoutError:
            return False


def test_flows_are_bounded_and_the_one_in_use_stays(forwarder: Running, servers: list[Server]) -> None:
    """A flood of two hundred senders through twenty flows: each is served, and a busy client keeps its
    socket."""
    forwarder.write(servers[0])
    forwarder.start("--flows", "20")
    with udp_socket() as busy, ExitStack() as open_until_counted:
        ask(busy, forwarder.address)
        (kept,) = servers[0].senders
        for number in range(200):
            # left open: a closed one's port would be the next one's, and both the same flow
            sender = open_until_counted.enter_context(udp_socket())
            ask(sender, forwarder.address, b"flood")
            if number % 10 == 0:
                ask(busy, forwarder.address, b"busy")
        servers[0].senders.clear()
        ask(busy, forwarder.address)
        assert servers[0].senders == {kept}
    until(lambda: forwarder.counted("evicted") == 181, "all but twenty were evicted")
    assert forwarder.counted("flows") == 20
    assert forwarder.process is not None
    descriptors = list(Path(f"/proc/{forwarder.process.pid}/fd").iterdir())
    assert len(descriptors) < 20 + 30


def test_idle_flows_end(forwarder: Running, servers: list[Server]) -> None:
    """After their time the sockets are closed; the client's next datagram opens a new one."""
    forwarder.write(servers[0])
    forwarder.start("--idle", "0.2")
    with udp_socket() as client:
        ask(client, forwarder.address)
        (old,) = servers[0].senders
        until(lambda: forwarder.counted("datagrams_in") == 1 and forwarder.counted("flows") == 0, "no flow is left")
        ask(client, forwarder.address)
        assert len(servers[0].senders - {old}) == 1


def test_garbage_harms_nobody(forwarder: Running, servers: list[Server]) -> None:
    """Empty, huge and random datagrams pass through as they are."""
    numbers = random.Random(7)
    forwarder.write(*servers)
    forwarder.start()
    with udp_socket() as client:
        for size in (0, 1, 1472, 9000, 60_000, *(numbers.randrange(2000) for _ in range(50))):
            ask(client, forwarder.address, numbers.randbytes(size))


def test_a_dead_target_is_counted_and_serves_again_once_it_is_back(forwarder: Running, servers: list[Server]) -> None:
    """A closed port neither ends the forwarder nor the flow."""
    port = servers[0].port
    forwarder.write(servers[0])
    forwarder.start()
    with udp_socket() as client:
        ask(client, forwarder.address)
        servers[0].close()
        for _ in range(10):
            client.sendto(b"lost", forwarder.address)
        until(lambda: forwarder.counted("refused") > 0, "refusals are counted")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as revived:
            revived.bind(("127.0.0.1", port))
            revived.settimeout(DEADLINE)
            client.sendto(b"found", forwarder.address)
            assert revived.recv(100) == b"found"
    servers[0] = Server("t-1")


def test_without_targets_datagrams_are_dropped_and_counted(forwarder: Running, servers: list[Server]) -> None:
    """And from the first target on they are served."""
    forwarder.write()
    forwarder.start()
    with udp_socket() as client:
        client.sendto(b"nobody", forwarder.address)
        until(lambda: forwarder.counted("dropped") == 1, "the drop is counted")
    forwarder.aim(servers[0])
    until(lambda: _a_new_client_gets(forwarder, "t-1"), "the target serves")


def test_broken_targets_leave_the_old_ones(forwarder: Running, servers: list[Server]) -> None:
    """It says why, and clients notice nothing; at the start it refuses with status 2."""
    forwarder.write(servers[0])
    forwarder.start()
    with udp_socket() as client:
        ask(client, forwarder.address)
        forwarder.targets.write_text('{"targets": [{"name": "x"')
        forwarder.reload()
        until(lambda: "the old targets stay" in forwarder.errors.read_text(), "it says so")
        assert ask(client, forwarder.address) == "t-1"
        forwarder.stop()
        forwarder.start()
        assert forwarder.process is not None
        assert forwarder.process.wait(DEADLINE) == 2
        assert "holds no targets" in forwarder.errors.read_text()
        forwarder.process = None


def test_datagrams_wait_while_it_is_restarted(forwarder: Running, servers: list[Server]) -> None:
    """The socket is held by who started it, and the same client comes to the same target."""
    forwarder.write(*servers)
    forwarder.start()
    with udp_socket() as client:
        before = ask(client, forwarder.address)
        forwarder.stop()
        for _ in range(50):
            client.sendto(b"waits", forwarder.address)
        forwarder.start()
        assert {client.recv(100) for _ in range(50)} == {before.encode() + b":waits"}


def test_a_signal_right_after_the_start_does_not_end_it(forwarder: Running, servers: list[Server]) -> None:
    """SIGHUP while it still imports is ignored, for the targets are read afterwards anyhow."""
    forwarder.write(servers[0])
    forwarder.start()
    assert forwarder.process is not None
    status = Path(f"/proc/{forwarder.process.pid}/status")
    ignored = 1 << (SIGHUP - 1)

    def safe() -> bool:
        masks = dict(line.split(":\t") for line in status.read_text().splitlines() if line.startswith("Sig"))
        return bool((int(masks["SigIgn"], 16) | int(masks["SigCgt"], 16)) & ignored)

    until(safe, "SIGHUP is ignored")
    for _ in range(20):
        forwarder.reload()
    with udp_socket() as client:
        assert ask(client, forwarder.address) == "t-1"


def test_on_every_address_replies_come_from_the_one_that_was_asked(tmp_path: Path, servers: list[Server]) -> None:
    """Bound to 0.0.0.0 and asked at 127.0.0.2: the reply comes from there, not from 127.0.0.1."""
    with forwarding(tmp_path, udp_socket(host="0.0.0.0")) as running, udp_socket() as client:
        running.write(*servers)
        running.start()
        for host in ("127.0.0.2", "127.0.0.3"):
            for _ in range(2):
                assert ask(client, (host, running.address[1])).startswith("t-")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_ipv6_on_both_sides(tmp_path: Path) -> None:
    """A client and a target on ::1, through a socket bound to every address."""
    server = Server("six", "::1")
    listening = udp_socket(socket.AF_INET6, "::")
    with forwarding(tmp_path, listening) as running, udp_socket(socket.AF_INET6, "::1") as client:
        running.write(server)
        running.start()
        assert ask(client, ("::1", running.address[1])) == "six"
    server.close()


def test_counts_what_passes(forwarder: Running, servers: list[Server]) -> None:
    """Datagrams and bytes both ways; an absent file is all zero, a foreign one an error."""
    assert read_statistics(forwarder.statistics).datagrams_in == 0
    forwarder.write(servers[0])
    forwarder.start()
    with udp_socket() as client:
        for _ in range(10):
            ask(client, forwarder.address, b"12345")
    until(lambda: forwarder.counted("datagrams_out") == 10, "ten answers are counted")
    counted = read_statistics(forwarder.statistics)
    assert (counted.datagrams_in, counted.bytes_in, counted.bytes_out) == (10, 50, 90)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "holds no targets"),
        ('{"targets": [{"name": "a", "host": "localhost", "port": 1}]}', "holds no targets"),
        ('{"targets": [{"name": "a", "host": "::1", "port": 70000}]}', "not between 1 and 65535"),
        (
            '{"targets": [{"name": "a", "host": "::1", "port": 1}, {"name": "a", "host": "::1", "port": 2}]}',
            "twice",
        ),
    ],
)
def test_targets_that_are_none_are_refused(tmp_path: Path, content: str, said: str) -> None:
    """Each with the file and the reason."""
    file = tmp_path / "targets.json"
    file.write_text(content)
    with pytest.raises(OperatorError, match=said):
        read_targets(file)


def test_the_share_of_clients_is_fair_and_only_that_much_moves() -> None:
    """20,000 clients on five targets: a fifth each within three points; without one, only its fifth moves."""
    five = tuple(Target(f"t-{n}", "127.0.0.1", 5000 + n) for n in range(5))
    clients = [f"10.1.{n // 250}.{n % 250}:{1024 + n}" for n in range(20_000)]
    all_five, but_one = Targets(five), Targets(five[1:])
    before = [all_five.of(client) for client in clients]
    after = [but_one.of(client) for client in clients]
    for share in Counter(before).values():
        assert share / 20_000 == pytest.approx(0.2, abs=0.03)
    assert all(old == five[0] for old, new in zip(before, after, strict=True) if old != new)


def test_it_keeps_up_with_a_load(forwarder: Running, servers: list[Server], clients: list[socket.socket]) -> None:
    """A burst from each of eighty clients at once is answered in full; the rate is printed."""
    forwarder.write(*servers)
    forwarder.start()
    for client in clients:
        ask(client, forwarder.address)
    began, answered = time.monotonic(), 0
    for _ in range(10):
        for client in clients:
            client.sendto(b"x" * 64, forwarder.address)
        for client in clients:
            client.recv(200)
            answered += 1
    print(f"{answered / (time.monotonic() - began):.0f} round trips/s")
    assert answered == 800
