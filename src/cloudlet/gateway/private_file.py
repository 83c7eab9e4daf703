"""The configuration of a service of cloudlet's own: one file of JSON, private to its user, for secrets are in it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from cloudlet.errors import OperatorError

T = TypeVar("T")
_OTHERS = 0o007


def read(path: Path, kind: TypeAdapter[T], whose: str) -> T:
    """Raises OperatorError for a file that others may read, or that is not a configuration of `whose`."""
    try:
        if path.stat().st_mode & _OTHERS:
            raise OperatorError(f"{path} holds secrets and is open to everybody; run chmod o= on it")
        return kind.validate_json(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        kinds = {".".join(map(str, detail["loc"])): detail["msg"] for detail in error.errors(include_input=False)}
        raise OperatorError(f"{path} is not the configuration of {whose}: {kinds}") from error
