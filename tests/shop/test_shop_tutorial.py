"""The tutorial shows what is in examples/hello, and its last program does what the page says."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import httpx
from shop_harness import Engines, Process, free_port

_ROOT = Path(__file__).parents[2]
_HELLO = _ROOT / "examples" / "hello"


def _blocks(language: str) -> list[str]:
    page = (_ROOT / "docs" / "tutorial.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_first_file_and_program_are_the_example() -> None:
    """Word for word, but for the example's opening comment."""
    file = (_HELLO / "cloudlet.yaml").read_text()
    program = (_HELLO / "greeter.py").read_text()
    assert _blocks("yaml")[0] == file[file.index("name: ") :]
    assert _blocks("python")[0] == program[program.index("import os") :]


def test_the_second_program_counts_its_visits(folder: Path, engines: Engines) -> None:
    """Two instances, started together, count in one table."""
    (folder / "greeter.py").write_text(_blocks("python")[1])
    urls = [_start(folder, engines, number) for number in (1, 2)]
    try:
        greetings = [httpx.get(url).text for _, url in urls]
        assert greetings == [f"hello from greeter-{n}, visit number {n}\n" for n in (1, 2)]
    finally:
        for process, _ in urls:
            process.end()


def _start(folder: Path, engines: Engines, number: int) -> tuple[Process, str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "CLOUDLET_INSTANCE": f"greeter-{number}",
        "VISITS_URL": engines.database_url,
    }

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health").text == "healthy\n"
        except httpx.TransportError:
            return False

    log = folder / f"greeter-{number}.log"
    process = Process([sys.executable, "greeter.py"], folder, log, answers, environment)
    process.start()
    return process, url
