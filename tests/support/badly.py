"""An instance that misbehaves: `python badly.py MODE`.

MODE is healthy, deaf (listens to nothing), stubborn (ignores SIGTERM), parent (has a child and a grandchild that ignore
SIGTERM) or greedy (takes 256 MB). While a file `sick-INSTANCE` lies in its folder its health check gets 503.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ["CLOUDLET_INSTANCE"]
MODE = sys.argv[1]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sick = Path(f"sick-{NAME}").exists()
        self.send_response(503 if sick and self.path == "/health" else 200)
        self.end_headers()
        self.wfile.write(NAME.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def family() -> None:
    """A child and a grandchild, neither of which ends when asked to; their ids are printed."""
    code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True);"
    grandchild = f"{sys.executable!r}, '-c', {code + ' time.sleep(600)'!r}"
    subprocess.Popen(
        [sys.executable, "-c", f"{code} import subprocess; subprocess.Popen([{grandchild}]); time.sleep(600)"]
    )


def main() -> None:
    if MODE == "deaf":
        time.sleep(600)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "parent":
        family()
    if MODE == "greedy":
        taken = bytearray(256 * 1024 * 1024)
        taken[::4096] = b"x" * len(taken[::4096])
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
