"""The commands that need no running stack."""

from __future__ import annotations

import json

import yaml

from tests.cli.conftest import FILE, Program


async def test_init_writes_a_file_that_is_in_order(cloudlet: Program) -> None:
    """The starter file passes check, and init tells what to do next."""
    made = await cloudlet("init", "--name", "shop")
    checked = await cloudlet("check")
    assert made.status == 0
    assert "cloudlet up -d --wait" in made.out
    assert yaml.safe_load(cloudlet.file.read_text())["name"] == "shop"
    assert (checked.status, checked.err) == (0, "")


async def test_init_leaves_a_present_file_alone(cloudlet: Program) -> None:
    """Nothing is ever overwritten: exit 7, the file as it was."""
    cloudlet.file.write_text("name: mine\n")
    refused = await cloudlet("init")
    assert refused.status == 7
    assert "exists already" in refused.err
    assert cloudlet.file.read_text() == "name: mine\n"


async def test_check_shows_every_problem_at_its_place(cloudlet: Program) -> None:
    """Each problem comes with file, line, column, the source line, a caret and the fix; exit 3."""
    cloudlet.file.write_text(FILE.replace("instances: 2", "instnces: 2").replace("to: orders", "to: order"))
    result = await cloudlet("check")
    assert result.status == 3
    lines = result.out.splitlines()
    assert lines[0].startswith("cloudlet.yaml:5:5: error:")
    assert lines[1] == "    5 |     instnces: 2"
    assert lines[2] == "      |     ^^^^^^^^"
    assert any('did you mean "instances"' in line for line in lines)
    assert any(line.startswith("cloudlet.yaml:9:") for line in lines)
    assert "\x1b" not in result.out


async def test_check_gives_problems_as_data(cloudlet: Program) -> None:
    """`--output json` is for editors and CI."""
    cloudlet.file.write_text(FILE.replace("instances: 2", "instances: -1"))
    result = await cloudlet("check", "--output", "json")
    found = json.loads(result.out)
    assert result.status == 3
    assert [(p["file"], p["line"]) for p in found["errors"]] == [("cloudlet.yaml", 5)]
    assert found["warnings"] == []


async def test_check_warns_and_still_succeeds(cloudlet: Program) -> None:
    """A warning is worth a word, no failure."""
    cloudlet.file.write_text(FILE.replace("    health: {path: /}\n", ""))
    result = await cloudlet("check", "--output", "yaml")
    assert result.status == 0
    assert yaml.safe_load(result.out)["warnings"]


async def test_a_missing_file_is_named(cloudlet: Program) -> None:
    """Without a file: exit 3 and the two ways on."""
    result = await cloudlet("-f", "nowhere.yaml", "check")
    assert result.status == 3
    assert "nowhere.yaml" in result.out
    assert "cloudlet init" in result.out


async def test_version_is_data_too(cloudlet: Program) -> None:
    """Programs and their versions, engines with --all."""
    short = json.loads((await cloudlet("version", "--output", "json")).out)
    every = json.loads((await cloudlet("--output", "json", "version", "--all")).out)
    assert set(short) == {"cloudlet", "python"}
    assert every["haproxy"].startswith(("2.8", "3."))


async def test_doctor_says_which_binaries_would_be_used(cloudlet: Program) -> None:
    """Every engine has a line; exit 0 when all are there."""
    result = await cloudlet("doctor", "--output", "json")
    findings = json.loads(result.out)
    assert result.status == (0 if all(f["ok"] for f in findings) else 5)
    assert {"HAProxy", "PostgreSQL", "Valkey", "NATS"} <= {f["name"] for f in findings}
