"""What is at a path, where a path too long or a folder that may not be entered counts as nothing there."""

from __future__ import annotations

import os
from pathlib import Path


def is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir lets ENAMETOOLONG and EACCES out)


def is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def is_program(path: Path) -> bool:
    return is_file(path) and os.access(path, os.X_OK)
