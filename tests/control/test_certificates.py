"""The user's certificates while a stack runs: what is renewed, added, removed and broken, second by second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloudlet.contracts.paths import StatePaths
from cloudlet.control.certificates import Certificates, Served
from cloudlet.control.journal import Journal
from cloudlet.control.store import Store
from cloudlet.edge.certificates import AUTHORITIES
from cloudlet.edge.certificates.files import pem
from cloudlet.edge.certificates.issuing import issue_authority, issue_certificate
from cloudlet.errors import OperatorError
from cloudlet.stack import Stack, parse

NOW = datetime.now(UTC)
ISSUER = issue_authority(["a.test", "b.test"], NOW)


def issued(name: str = "a.test", ago: int = 0) -> bytes:
    """Good for 90 days, of which so many are over."""
    certificate, key = issue_certificate(ISSUER, [name], NOW - timedelta(days=ago))
    return pem([certificate], key)


class Watched:
    """A stack whose certificates are a folder of the user's, looked at as if a second passed each time."""

    def __init__(self, folder: Path) -> None:
        self.own, self.now = folder / "own", 1000.0
        self.own.mkdir()
        (self.own / "a.pem").write_bytes(issued())
        self.paths = StatePaths(folder / ".cloudlet")
        self.paths.create()
        self.store = Store(self.paths.database)
        self.journal = Journal(self.store)
        self.certificates = Certificates(self.paths, self.journal)
        self.file = folder / "cloudlet.yaml"

    def stack(self, more: str = "") -> Stack:
        text = (
            "name: x\nservices: {web: {command: python3}}\n"
            "gateway: {listen: {http: 0, https: 0}, routes: [{path: /*, to: web}]}\n"
            f"edge: {{certificates: [own]{more}}}\n"
        )
        return parse(text, self.file)

    def ensure(self, more: str = "") -> Served:
        self.given = self.stack(more)
        return self.certificates.ensure(self.given, None, self.now)

    def look(self, times: int = 2) -> Served | None:
        """What the last of so many looks gave: a change is taken when it has rested for one."""
        served = None
        for _ in range(times):
            self.now += 1
            served = self.certificates.look(self.given, None, self.now) or served
        return served

    def served(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self.paths.edge / "certificates").glob("*.pem"))]

    def told(self, event: str) -> list[str]:
        return [entry.because for entry in self.journal.since(0) if entry.event == event]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    made.ensure()
    yield made
    made.store.close()


def test_a_renewed_file_is_taken_when_it_has_rested(watched: Watched) -> None:
    """Not while it is just being written: on the second look that finds it the same."""
    before, fresh = watched.served(), issued()
    assert watched.look(5) is None
    (watched.own / "a.pem").write_bytes(fresh)
    assert watched.look(1) is None
    assert watched.served() == before
    assert watched.look(1) == Served(watched.paths.edge / "certificates")
    assert watched.served() == [fresh]
    assert watched.look(5) is None


def test_files_of_a_folder_come_and_go(watched: Watched) -> None:
    """In the order of their names."""
    first, second = watched.served()[0], issued("b.test")
    (watched.own / "b.pem").write_bytes(second)
    watched.look()
    assert watched.served() == [first, second]
    (watched.own / "a.pem").unlink()
    watched.look()
    assert watched.served() == [second]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "holds no certificate in PEM"),
        (issued().replace(b"PRIVATE KEY", b"SECRET KEY"), "holds no private key in PEM"),
        (issued()[:-200], "holds no private key in PEM"),
        (issued(ago=91), "expired on"),
        (pem([issue_certificate(ISSUER, ["a.test"], NOW)[0]], ISSUER.key), "is not that of the first certificate"),
    ],
)
def test_a_broken_renewal_keeps_what_was_served(watched: Watched, content: bytes, said: str) -> None:
    """It is told once, with the reason, and shown by status until it is mended; the others are renewed all the same."""
    before, second = watched.served(), issued("b.test")
    (watched.own / "a.pem").write_bytes(content)
    (watched.own / "b.pem").write_bytes(second)
    watched.look(10)
    assert watched.served() == [*before, second]
    (told,) = watched.told("certificate not taken")
    assert said in told
    assert str(watched.own / "a.pem") in told
    assert any(said in line for line in watched.certificates.warnings())
    mended = issued()
    (watched.own / "a.pem").write_bytes(mended)
    watched.look()
    assert watched.served() == [mended, second]
    assert watched.told("certificate usable again") == [str(watched.own / "a.pem")]
    assert not watched.certificates.warnings()


def test_the_last_file_gone_changes_nothing(watched: Watched) -> None:
    """An emptied folder is a mistake, or a renewal half done."""
    before = watched.served()
    (watched.own / "a.pem").unlink()
    watched.look(5)
    assert watched.served() == before
    assert len(watched.told("certificate not taken")) == 1


def test_a_certificate_that_ends_soon_is_warned_of_once(watched: Watched) -> None:
    """In the journal and by status."""
    (watched.own / "a.pem").write_bytes(issued(ago=80))
    watched.look(10)
    (told,) = watched.told("certificate ends soon")
    assert told.startswith("that of a.test ends on ")
    assert "in 9 days" in told or "in 10 days" in told
    assert [line for line in watched.certificates.warnings() if "certificate of a.test ends on" in line]


def test_authorities_of_clients_are_taken_and_kept(watched: Watched) -> None:
    """A changed file counts, a broken one is told and leaves the one before."""
    good, other = (issue_authority([name], NOW).certificate for name in ("one.test", "two.test"))
    file, taken = watched.own.parent / "clients.pem", watched.paths.edge / AUTHORITIES
    file.write_bytes(_text(good))
    assert watched.ensure(", client_certificates: clients.pem").authorities == taken
    assert taken.read_bytes() == _text(good)
    file.write_bytes(_text(other))
    watched.look()
    assert taken.read_bytes() == _text(other)
    file.write_bytes(issued())
    watched.look(5)
    assert taken.read_bytes() == _text(other)
    (told,) = watched.told("certificate not taken")
    assert "no authority's" in told


def test_a_broken_file_refuses_the_start(watched: Watched) -> None:
    """Before anything is changed."""
    (watched.own / "a.pem").write_bytes(issued(ago=91))
    with pytest.raises(OperatorError, match="expired on"):
        watched.ensure()


def _text(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
