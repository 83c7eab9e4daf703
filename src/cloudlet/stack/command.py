"""The command that an instance is: words, with placeholders that are filled in at each start.

A placeholder is lower-case letters in braces; braces around anything else (JSON, a shell's `${HOME}`) are the
command's own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from cloudlet.stack.files import is_program
from cloudlet.stack.findings import Fault, suggestion

PLACEHOLDERS = ("port", "instance", "directory")
_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-z_]+)\}")


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise Fault(
            f"`{value}` cannot be split into words: {str(error).lower()}", "close the quotes, or write a list"
        ) from error


def _checked(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0]:
        raise Fault("no program is named", "write the program and its arguments")
    for word in words:
        if "{{" in word:
            raise Fault(f'"{word}" holds "{{{{"', "write a single brace: {port}")
        for name in _PLACEHOLDER.findall(word):
            if name not in PLACEHOLDERS:
                known = [f"{{{placeholder}}}" for placeholder in PLACEHOLDERS]
                raise Fault(f'"{{{name}}}" is no placeholder', suggestion(f"{{{name}}}", known, "there are"))
    if set(_PLACEHOLDER.findall(words[0])) - {"directory"}:
        raise Fault(f'the program "{words[0]}" depends on the instance', "name one program; vary its arguments")
    return words


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    AfterValidator(_checked),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1},
            ],
            "title": "command",
        }
    ),
]


def fill(words: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The words with their placeholders replaced, each once: a value that looks like one stays as it is."""
    return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words)


def uses(words: tuple[str, ...], placeholder: str) -> bool:
    return any(placeholder in _PLACEHOLDER.findall(word) for word in words)


def search_path(environment: Mapping[str, str]) -> str:
    """Where programs are looked for: the service's own PATH, else cloudlet's and then the folder of the
    Python that runs it, so that what was installed there is found without an activated environment."""
    if "PATH" in environment:
        return environment["PATH"]
    inherited = os.environ.get("PATH", os.defpath)
    return os.pathsep.join([inherited, str(Path(sys.executable).parent)])


def find_program(words: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> Path | None:
    """The program's file, or None: a path is taken from the working directory, a name from PATH."""
    name = words[0].replace("{directory}", str(directory))
    if os.sep in name:
        path = directory / name
        return path if is_program(path) else None
    found = shutil.which(name, path=search_path(environment))
    return (directory / found).absolute() if found else None
