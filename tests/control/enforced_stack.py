"""Run in a network namespace of its own (`unshare --net`): a whole stack with `egress`, another machine beyond a cable,
and what a service reaches directly and by the proxy. Prints what happened as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request

from tests.control.outside import THERE, another_machine, run
from tests.support.live_stack import LiveStack, until

#: answers `/?way=direct&port=N` with what came of asking the other machine that way
SERVICE = f"""
import base64, http.server, os, socket, sys, urllib.parse, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        try:
            if asked.get("way") == "direct":
                socket.create_connection(("{THERE}", 8000), timeout=5).close()
                said = "through"
            elif asked.get("way") == "proxy":
                proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
                with socket.create_connection((proxy.hostname, proxy.port), timeout=5) as tunnel:
                    pair = base64.b64encode(f"{{proxy.username}}:{{proxy.password}}".encode()).decode()
                    to = asked["to"]
                    head = [f"CONNECT {{to}} HTTP/1.1", f"Host: {{to}}", f"Proxy-Authorization: Basic {{pair}}", "", ""]
                    tunnel.sendall("\\r\\n".join(head).encode())
                    said = tunnel.recv(1000).split()[1].decode()
            else:
                said = "here"
        except OSError as error:
            said = os.strerror(error.errno or 0)
        body = said.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
FILE = f"""
name: confined
services:
  web: {{command: "{sys.executable} service.py {{port}}", health: {{path: /}}}}
gateway: {{listen: {{http: 0, https: null}}, routes: [{{path: /*, to: web}}]}}
egress: {{mode: MODE, default: {{allow: ["{THERE}:8000"]}}}}
"""


def ask(stack: LiveStack, query: str) -> str:
    with urllib.request.urlopen(f"{stack.address()}/?{query}", timeout=20) as answer:
        return str(answer.read().decode())


def tables() -> list[str]:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.split()


def is_back(stack: LiveStack, name: str, dead: int) -> bool:
    """Both serve, and that one as another process."""
    serving = stack.serving("cloudlet-egress")
    return len(serving) == 2 and serving[name]["pid"] != dead


def main() -> None:
    run("ip", "link", "set", "dev", "lo", "up")
    found: dict[str, object] = {}
    direct, allowed, refused = "way=direct", f"way=proxy&to={THERE}:8000", f"way=proxy&to={THERE}:8001"
    stack = LiveStack(FILE.replace("MODE", "enforced"))
    (stack.folder / "service.py").write_text(SERVICE)
    with another_machine(), stack:
        stack.up()
        found["enforced"] = [ask(stack, query) for query in (direct, allowed, refused)]
        found["warnings"] = [text for text in stack.status()["warnings"] if "egress" in text]
        os.kill(stack.daemon, signal.SIGKILL)
        found["cloudlet dead"] = len(tables()) > 0
        stack.up()
        found["adopted"] = [ask(stack, query) for query in (direct, allowed, refused)]
        for name, instance in stack.instances("cloudlet-egress").items():
            os.kill(instance["pid"], signal.SIGKILL)
            found.setdefault("proxy killed", []).append(ask(stack, allowed))  # type: ignore[attr-defined]
            until(lambda name=name, dead=instance["pid"]: is_back(stack, name, dead), f"{name} to be back")
        stack.write(FILE.replace("MODE", "advisory"))
        stack.up()
        found["advisory"] = [ask(stack, query) for query in (direct, allowed, refused)]
        found["advisory warnings"] = [text for text in stack.status()["warnings"] if "egress" in text]
        stack.write(FILE.replace("MODE", "enforced"))
        stack.up()
        found["again"] = ask(stack, direct)
        found["log"] = sorted(
            {
                (entry.get("destination"), entry["status"], entry.get("refused"))
                for log in stack.paths.logs.glob("cloudlet-egress-*.log")
                for line in log.read_text().splitlines()
                if "{" in line
                for entry in [json.loads(line[line.index("{") :])]
            },
            key=str,
        )
        stack.cloudlet("down")
        found["after"] = tables()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
