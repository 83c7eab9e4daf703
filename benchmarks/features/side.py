"""One of the gateways under measurement, and how it is driven."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path

from common import waiting, wrk
from common.cores import Cores
from features.catalogue import Feature
from features.keys import Keys


@dataclass(frozen=True, slots=True)
class Side:
    """`peer` is empty for cloudlet itself, which can do everything; `folder` is for wrk's scripts."""

    name: str
    port: int
    folder: Path
    keys: Keys
    api_key: str = ""
    peer: str = ""

    def can(self, feature: Feature) -> bool:
        return not self.peer or self.peer in feature.peers

    def drive(self, feature: Feature, cores: Cores, seconds: float, connections: int) -> wrk.Load:
        return wrk.run(
            f"http://127.0.0.1:{self.port}{feature.path}",
            core=cores.driving,
            seconds=seconds,
            connections=connections,
            script=self._script(feature),
        )

    def expect_answer(self, feature: Feature) -> None:
        """Raises TookTooLong unless the feature lets the request through, and RuntimeError when it lets one through
        that shows no credential though it must."""
        waiting.until(lambda: self._status(feature, self._headers(feature)) == 200, f"{self.name} {feature.name}")
        if feature.name.startswith(("jwt", "api-key", "basic")) and self._status(feature, {}) != 401:
            raise RuntimeError(f"{self.name} answers {feature.name} to somebody without a credential")

    def _status(self, feature: Feature, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST" if feature.body else "GET", feature.path, feature.body or None, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _headers(self, feature: Feature) -> dict[str, str]:
        headers = {name: self.keys.fill(value, self.api_key) for name, value in feature.headers.items()}
        return {**headers, "Content-Type": "application/json"} if feature.body else headers

    def _script(self, feature: Feature) -> Path:
        """What wrk sends: it reads a Lua file."""
        lines = [f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in self._headers(feature).items()]
        if feature.body:
            lines += ['wrk.method = "POST"', f"wrk.body = {_quoted(feature.body)}"]
        file = self.folder / f"{self.name}-{feature.name}.lua"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file


def _quoted(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
