"""The stack's secrets: one file each, mode 600, in a folder of mode 700.

A secret is either there whole or not at all: it is written to a temporary file, synced, and linked or renamed
into place. Whoever comes second gets the first one's value.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from cloudlet.contracts.secret import Credential, Secret
from cloudlet.errors import DependencyError, OperatorError, Refused
from cloudlet.identity.credentials import is_own, secret_name

#: random bytes in a generated secret: 192 bits, 32 characters safe in URLs and configuration files
_STRENGTH = 24
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Secrets:
    """The secrets in one folder, which is made with the first secret. Errors are OperatorError or
    DependencyError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_or_create(self, name: str) -> Secret:
        """The secret, generated if there is none yet."""
        return self.get_or_make(name, _generate)

    def get_or_make(self, name: str, make: Callable[[], str]) -> Secret:
        """The secret, made by `make` if there is none yet."""
        path = self._path(name)
        if not path.exists():
            self._write(path, make(), replace=False)
        return self.read(name)

    def read(self, name: str) -> Secret:
        """A secret that must exist; a trailing newline, as editors and `echo` leave it, is not part of it."""
        path = self._path(name)
        try:
            with path.open(encoding="utf-8", newline="") as file:
                _check_private(name, path, os.fstat(file.fileno()))
                value = file.read().removesuffix("\n").removesuffix("\r")
        except FileNotFoundError:
            raise OperatorError(f'there is no secret "{name}": run `cloudlet secret set {name}`') from None
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError(f'cannot read secret "{name}" from {path}: {error}') from error
        if not value:
            raise OperatorError(f'secret "{name}" is empty: write it to {path}')
        return Secret(value)

    def replace(self, name: str, value: str) -> None:
        """Set it to a value of the user's. Raises OperatorError for none."""
        if not value or "\0" in value:
            raise OperatorError(f'the value of secret "{name}" is empty or no text: give it on standard input')
        self._write(self._path(name), value, replace=True)

    def delete(self, name: str) -> None:
        """Raises OperatorError when there is none of that name, or it is cloudlet's own."""
        if name not in self.names():
            raise OperatorError(f'there is no secret "{name}" of yours; there are: {", ".join(self.names()) or "none"}')
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Those that users have set: not the credentials on engines, nor what cloudlet made for itself."""
        if not self._folder.is_dir():
            return []
        found = sorted(path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        return [name for name in found if not is_own(name)]

    def rotate(self, name: str) -> Secret:
        """A new generated value in place of the old one; who holds the old one must be told by the caller."""
        self._write(self._path(name), _generate(), replace=True)
        return self.read(name)

    def credential(self, service: str, resource: str) -> Credential:
        return Credential(service, self.get_or_create(secret_name(service, resource)))

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise OperatorError(
                f"{name!r} cannot name a secret: use up to 100 letters, digits, dots, hyphens and "
                "underscores, not beginning with a dot or hyphen"
            )
        return self._folder / name

    def _write(self, path: Path, value: str, *, replace: bool) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_synced(temporary, value)
            try:
                _put_in_place(temporary, path, replace=replace)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(self._folder)
        except OSError as error:
            raise DependencyError(f"cannot keep a secret in {path}: {error}") from error


def _generate() -> str:
    return secrets.token_urlsafe(_STRENGTH)


def _write_synced(path: Path, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(temporary: Path, path: Path, *, replace: bool) -> None:
    if replace:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        return  # somebody else was first, and theirs counts


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_private(name: str, path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f'secret "{name}" is not a regular file: {path}')
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise Refused(f'secret "{name}" is open to other users (mode {mode:o}): run chmod 600 {path}')
    if found.st_uid not in (0, os.geteuid()):
        raise Refused(f'secret "{name}" belongs to user {found.st_uid}, who could change it: run chown on {path}')
