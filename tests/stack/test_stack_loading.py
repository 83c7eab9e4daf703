"""What a good file becomes, and how an unreadable one is told."""

from __future__ import annotations

from pathlib import Path
from signal import Signals

import pytest

from cloudlet.errors import StackError
from cloudlet.stack import Stack, check, fill_secrets, load, parse, secret_names, starter

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def shop(folder: Path) -> Stack:
    file = folder / "cloudlet.yaml"
    file.write_text((CASES / "shop.txt").read_text().partition("-" * 20 + "\n")[0])
    return load(file)


def service(line: str, folder: Path) -> Stack:
    return parse(f"name: x\nservices:\n  web: {{command: python3, {line}}}\n", folder / "cloudlet.yaml")


def test_values_are_in_base_units(shop: Stack, folder: Path) -> None:
    """Durations are seconds, sizes bytes, shares 0 to 1, paths absolute."""
    orders = shop.services["orders"]
    assert orders.health.interval == 0.5
    assert orders.health.expect == ((200, 200), (300, 399))
    assert orders.wait.for_ == 10.0
    assert orders.resources.memory == 256_000_000
    assert orders.balance.bounded == 1.25
    assert orders.eject.after == 5
    assert orders.eject.on == ("connection", "5xx")
    assert orders.stop.signal is Signals.SIGTERM
    assert orders.directory == folder / "orders"
    assert shop.edge.log.sample == 0.1
    assert shop.caches["sessions"].memory == 64_000_000
    assert shop.file == folder / "cloudlet.yaml"
    assert shop.directory == folder
    assert shop.text == (folder / "cloudlet.yaml").read_text()


def test_scalars_of_the_environment_stay_as_written(shop: Stack) -> None:
    """No Norway problem, no octal, no lost zero; secrets are kept for later."""
    assert shop.services["orders"].environment == {
        "LOG_LEVEL": "debug",
        "KEY": "${secret:key}",
        "COUNTRY": "no",
        "ZIP": "0123",
        "RATIO": "1.10",
    }


def test_merged_keys_give_way_to_written_ones(shop: Stack) -> None:
    """`<<` fills in what is not there."""
    static, orders = shop.services["static-page"], shop.services["orders"]
    assert static.command == orders.command
    assert static.uses == ("orders",)
    assert static.backup is None


def test_defaults_are_those_of_the_reference(folder: Path) -> None:
    """A service of one line has FILE's defaults."""
    web = service("instances: 3", folder).services["web"]
    assert (web.instances.min, web.instances.max) == (3, 3)
    assert (web.concurrency, web.wait.for_, web.wait.at_most) == (100, 10.0, 1000)
    assert (web.balance.algorithm, web.timeout, web.retries.attempts) == ("least-connections", 30.0, 3)
    assert (web.stop.drain, web.stop.grace) == (30.0, 10.0)
    assert (web.deployment.max_surge, web.deployment.max_unavailable) == (1, 0)
    assert web.directory == folder


def test_the_domain_follows_the_name(folder: Path) -> None:
    """NAME.localhost, unless the file says otherwise."""
    assert service("version: 1", folder).domain == "x.localhost"


def test_the_gateway_listens_on_loopback_unless_told(folder: Path) -> None:
    """Without `listen` the default ports on 127.0.0.1."""
    text = "name: x\nservices: {web: {command: python3}}\ngateway: {routes: [{path: /*, to: web}]}\n"
    gateway = parse(text, folder / "cloudlet.yaml").gateway
    assert gateway is not None
    assert (gateway.listen.http, gateway.listen.https, gateway.listen.address) == (8080, 8443, "127.0.0.1")


@pytest.mark.parametrize("off", ["off", '"off"', "null", "~"])
def test_a_port_can_be_off(off: str, folder: Path) -> None:
    """`off` and null listen not at all."""
    text = f"name: x\nservices: {{web: {{command: python3}}}}\ngateway: {{listen: {{http: 0, https: {off}}}}}\n"
    gateway = parse(text, folder / "cloudlet.yaml").gateway
    assert gateway is not None
    assert (gateway.listen.http, gateway.listen.https) == (0, None)


def test_a_folder_of_certificates_is_opened(folder: Path) -> None:
    """Each PEM file in it counts, in the order of their names."""
    for name in ("b.pem", "a.pem"):
        pem = (folder / "chain.pem").read_text() + (folder / "key.pem").read_text()
        (folder / "certificates" / name).write_text(pem)
    text = (
        "name: x\nservices: {web: {command: python3}}\ngateway: {routes: [{path: /*, to: web}]}\n"
        "edge: {certificates: [certificates]}\n"
    )
    stack = parse(text, folder / "cloudlet.yaml")
    assert [pair.certificate.name for pair in stack.edge.opened_certificates()] == ["a.pem", "b.pem"]


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("version: 1", True),
        ("environment: {A: 1}", True),
        ("directory: orders", True),
        ("instances: 2", False),
        ("timeout: 3s", False),
    ],
)
def test_a_revision_is_what_an_instance_is(line: str, changes: bool, folder: Path) -> None:
    """Command, directory, environment and version make a revision; policies do not."""
    before = service("concurrency: 7", folder).services["web"].revision
    after = service(line, folder).services["web"].revision
    assert len(after) == 12
    assert (before != after) is changes


def test_placeholders_are_filled_once(folder: Path) -> None:
    """A value that looks like a placeholder is not filled in again, and other braces are left alone."""
    text = "name: x\nservices:\n  web:\n    command: [python3, '{port}-{instance}', '{\"a\": 1}', '$${HOME}']\n"
    web = parse(text, folder / "cloudlet.yaml").services["web"]
    assert web.argv(port=81, instance="{port}") == ("python3", "81-{port}", '{"a": 1}', "${HOME}")


def test_a_program_is_found_as_it_would_be_started(folder: Path) -> None:
    """By the service's own PATH, from its working directory, or beside the Python that runs cloudlet."""
    (folder / "orders" / "run").write_text("#!/bin/sh\n")
    (folder / "orders" / "run").chmod(0o755)
    for command in ("./run", "{directory}/run", f"{folder}/orders/run"):
        text = f"name: x\nservices:\n  web:\n    command: '{command}'\n    directory: orders\n"
        program = parse(text, folder / "cloudlet.yaml").services["web"].program
        assert program is not None
        assert program.resolve() == folder / "orders" / "run"


def test_what_the_environment_holds_is_not_interpreted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable's value is text, even when it looks like a reference; a smuggled secret is refused."""
    monkeypatch.setenv("CASE_LEVEL", "${env:CASE_TOKEN} {port}")
    found = service('environment: {A: "${env:CASE_LEVEL}"}', folder).services["web"].environment["A"]
    assert found == "${env:CASE_TOKEN} {port}"
    monkeypatch.setenv("CASE_LEVEL", "${secret:other}")
    with pytest.raises(StackError, match="not meant as a secret"):
        service('environment: {A: "${env:CASE_LEVEL}"}', folder)


def test_a_message_never_shows_what_the_environment_held(folder: Path) -> None:
    """A refused value is shown as it was written."""
    with pytest.raises(StackError) as refused:
        service('concurrency: "${env:CASE_TOKEN}", sticky: "${env:CASE_TOKEN}"', folder)
    assert "hunter2" not in str(refused.value)


def test_secrets_are_named_and_filled() -> None:
    """Names once and in order; filling in leaves the rest alone."""
    value = "postgres://${secret:user}:${secret:word}@x/${secret:user}"
    assert secret_names(value) == ["user", "word"]
    assert fill_secrets(value, {"user": "a", "word": "${secret:user}"}) == "postgres://a:${secret:user}@x/a"


def test_a_broken_part_is_not_reported_again_by_who_names_it(folder: Path) -> None:
    """Rules still look at everything that fits."""
    text = (
        "name: x\nservices:\n  web: {command: python3, timeout: 30}\n"
        "  api: {command: python3, uses: [web, wbe]}\n"
        "gateway: {routes: [{path: x, to: web}, {path: /b, to: web}, {path: /c, to: wbe}]}\n"
    )
    with pytest.raises(StackError) as refused:
        parse(text, folder / "cloudlet.yaml")
    assert [problem.message.partition(":")[0] for problem in refused.value.problems] == [
        "services.web.timeout",
        "services.api.uses[1]",
        "gateway.routes[0].path",
        "gateway.routes[2].to",
    ]


@pytest.mark.parametrize("name", ["shop", "My Shop!", "42", "", "ünï", "a" * 100, "cloudlet", "-x-", "9to5"])
def test_the_starter_loads_without_a_word(name: str, folder: Path) -> None:
    """What `init` writes is accepted, whatever the folder is called."""
    stack = parse(starter(name), folder / "cloudlet.yaml")
    assert check(stack) == []
    assert stack.services["web"].instances.min == 2


def test_the_starter_loads_with_its_comments_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line that is commented out is good, too."""
    monkeypatch.chdir(folder)
    (folder / "web").mkdir()
    head, _, body = starter("shop").partition("name: shop\n")
    opened = "\n".join(_opened(line) for line in body.splitlines())
    stack = parse(f"{head}name: shop\n{opened}\n", folder / "cloudlet.yaml")
    assert stack.services["web"].uses == ("shop-db", "sessions")


def _opened(line: str) -> str:
    indent, hash_sign, rest = line.partition("# ")
    is_key = rest.lstrip(" -{").split(":")[0].replace("-", "").replace("_", "").isalpha() and ":" in rest
    return indent + rest if hash_sign and not indent.strip() and is_key else line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"name: \xff", "not UTF-8"),
        (b"", "the file is empty"),
    ],
)
def test_an_unreadable_file_is_an_operator_error(content: bytes | None, message: str, folder: Path) -> None:
    """Missing, binary and empty files are told like any other problem."""
    file = folder / "cloudlet.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StackError, match=message):
        load(file)


def test_a_folder_is_no_file(folder: Path) -> None:
    """A folder in place of the file is told with the fix."""
    with pytest.raises(StackError, match="this is a folder"):
        load(folder)


def test_messages_name_the_file_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and warnings show the path that the person typed."""
    monkeypatch.chdir(folder)
    Path("cloudlet.yaml").write_text("name: x\nservices: {web: {command: python3}}\n")
    assert {problem.file for problem in check(load(Path("cloudlet.yaml")))} == {"cloudlet.yaml"}
    with pytest.raises(StackError, match=r"^cloudlet\.yaml:1:7: "):
        parse("name: 3\nservices: {}\n", Path("cloudlet.yaml"))
