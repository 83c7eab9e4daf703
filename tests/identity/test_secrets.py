"""Secrets on a real disk: whole or absent, private, and never shown by accident."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.contracts.secret import Credential, Secret
from cloudlet.errors import CloudletError, OperatorError, Refused
from cloudlet.identity.credentials import matches, secret_name
from cloudlet.identity.secrets import Secrets


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "secrets")


def test_a_generated_secret_stays_and_is_private(secrets: Secrets, tmp_path: Path) -> None:
    """Made once with 192 random bits, the same ever after, in a file of mode 600 in a folder of mode 700."""
    made = secrets.get_or_create("admin")
    assert secrets.get_or_create("admin") == made == Secrets(tmp_path / "secrets").read("admin")
    assert len(made.reveal()) == 32
    assert stat.S_IMODE((tmp_path / "secrets" / "admin").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert os.listdir(tmp_path / "secrets") == ["admin"]


def test_two_secrets_differ(secrets: Secrets) -> None:
    """No value is used twice."""
    assert len({secrets.get_or_create(f"name-{number}").reveal() for number in range(50)}) == 50


def test_many_at_once_get_one_and_the_same(secrets: Secrets, tmp_path: Path) -> None:
    """Threads that race for a new secret all end with the first one's value, and leave no temporary file."""
    with ThreadPoolExecutor(16) as pool:
        values = {value.reveal() for value in pool.map(lambda _: secrets.get_or_create("raced"), range(64))}
    assert len(values) == 1
    assert os.listdir(tmp_path / "secrets") == ["raced"]


def test_a_process_killed_while_it_writes_leaves_no_broken_secret(tmp_path: Path) -> None:
    """Wherever SIGKILL strikes, a secret that is there is whole."""
    program = (
        "import sys, pathlib; from cloudlet.identity.secrets import Secrets\n"
        "secrets = Secrets(pathlib.Path(sys.argv[1])); print('go', flush=True)\n"
        "while True: secrets.rotate('turning')"
    )
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        while not (tmp_path / "turning").exists():
            assert process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
        assert len(Secrets(tmp_path).read("turning").reveal()) == 32


def test_rotation_gives_another_value(secrets: Secrets) -> None:
    """The new one is what is read from then on."""
    old = secrets.get_or_create("key")
    new = secrets.rotate("key")
    assert new != old
    assert secrets.read("key") == secrets.get_or_create("key") == new


@pytest.mark.parametrize(
    ("written", "read"), [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), (" a \n\n", " a \n")]
)
def test_what_an_operator_writes_is_read_without_its_last_newline(
    secrets: Secrets, tmp_path: Path, written: str, read: str
) -> None:
    """One newline, as editors leave it, is not part of the secret; everything else is."""
    put(tmp_path, "smtp", written.encode())
    assert secrets.read("smtp").reveal() == read


def put(tmp_path: Path, name: str, content: bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "secrets" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602])
def test_a_secret_open_to_others_is_refused_with_the_fix(secrets: Secrets, tmp_path: Path, mode: int) -> None:
    """Whoever but its owner may read or change it, it is not used."""
    path = put(tmp_path, "smtp", b"hunter2", mode)
    with pytest.raises(Refused, match=f"open to other users \\(mode {mode:o}\\): run chmod 600 {path}"):
        secrets.read("smtp")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_refused(secrets: Secrets, tmp_path: Path) -> None:
    """Its owner could change it at any time."""
    os.chown(put(tmp_path, "smtp", b"hunter2"), 61190, 61190)
    with pytest.raises(Refused, match="belongs to user 61190"):
        secrets.read("smtp")


def test_what_is_missing_empty_or_unreadable_is_said(secrets: Secrets, tmp_path: Path) -> None:
    """Each with the name and the path, none with the content."""
    with pytest.raises(OperatorError, match='there is no secret "smtp": run `cloudlet secret set smtp`'):
        secrets.read("smtp")
    put(tmp_path, "empty", b"\n")
    with pytest.raises(OperatorError, match='secret "empty" is empty'):
        secrets.read("empty")
    put(tmp_path, "binary", b"\xff\xfe")
    with pytest.raises(OperatorError, match='cannot read secret "binary"'):
        secrets.read("binary")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../key", "a/b", "/etc/passwd", ".hidden", "-x", "a\n", "a\0", "é", "a" * 101]
)
def test_a_name_cannot_lead_out_of_the_folder(secrets: Secrets, name: str) -> None:
    """Neither reading, making nor rotating takes a name that is more than a plain file name."""
    for act in (secrets.read, secrets.get_or_create, secrets.rotate):
        with pytest.raises(OperatorError, match="cannot name a secret"):
            act(name)


@given(st.text(min_size=8, max_size=64))
def test_a_secret_shows_only_when_it_is_revealed(value: str) -> None:
    """Neither by itself, in a format, in a credential, in a traceback nor pickled."""
    secret = Secret(value)
    credential = Credential("orders", secret)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!s:>4}", repr(credential), repr([secret])):
        assert value not in shown or value in "Credential(user='orders', password=Secret(…))"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == value


def test_errors_hold_no_secret(secrets: Secrets, tmp_path: Path) -> None:
    """The traceback of a refused secret does not quote it."""
    put(tmp_path, "smtp", b"hunter2-very-secret", 0o644)
    try:
        secrets.read("smtp")
    except CloudletError:
        assert "hunter2" not in traceback.format_exc()


@given(st.text(max_size=40), st.text(max_size=40))
def test_matching_is_equality(given_: str, expected: str) -> None:
    """The constant-time comparison says what `==` says, for any text."""
    assert matches(given_, expected) == (given_ == expected)
    assert matches(expected, expected)


_NAMES = st.from_regex(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@given(_NAMES, _NAMES, _NAMES, _NAMES)
def test_no_two_pairs_share_a_password(one: str, two: str, three: str, four: str) -> None:
    """A credential's name is as distinct as service and resource, and one that secrets can have."""
    assert (secret_name(one, two) == secret_name(three, four)) == ((one, two) == (three, four))
    Secrets(Path("/nonexistent"))._path(secret_name(one, two))
