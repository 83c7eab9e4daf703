"""Run by a test as an ordinary user: a keeper of that user's own, killed and succeeded. Prints `ok` at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from cloudlet.contracts.paths import StatePaths
from cloudlet.contracts.process import ProcessSpec, User
from cloudlet.errors import OperatorError
from cloudlet.runtime.client import KeeperClient

SERVER = "import socket; s = socket.socket(fileno={}); print('up', flush=True)\nwhile True: s.accept()[0].close()"


async def main(root: Path) -> None:
    assert os.geteuid() != 0
    paths = StatePaths(root / ".cloudlet")
    keeper = await KeeperClient.connect(paths)
    held = await keeper.listen("web", "127.0.0.1", 0)
    argv = (sys.executable, "-S", "-c", SERVER.format(held.descriptor))
    spec = ProcessSpec("a-1", argv, root, {}, paths.log("a-1"), sockets=("web",))
    process = await keeper.start(spec)
    await keeper.close()
    os.kill(int((paths.run / "keeper.lock").read_text()), signal.SIGKILL)
    keeper = await KeeperClient.connect(paths)
    assert (await keeper.processes())["a-1"].pid == process.pid
    assert await keeper.sockets() == {"web": held}
    socket.create_connection((held.host, held.port)).close()
    await refused_to_be_somebody_else(keeper, paths)
    await keeper.shutdown(force=True)
    await keeper.close()
    print("ok", flush=True)


async def refused_to_be_somebody_else(keeper: KeeperClient, paths: StatePaths) -> None:
    spec = ProcessSpec("b-1", ("true",), paths.root, {"PATH": "/bin"}, paths.log("b-1"), user=User(1, 1))
    try:
        await keeper.start(spec)
    except OperatorError as error:
        assert "only root can run it as user 1" in str(error), error
    else:
        raise AssertionError("it was started as somebody else")


asyncio.run(main(Path(sys.argv[1])))
