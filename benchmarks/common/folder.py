"""A folder for one run, which instances can read that run as users of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"cloudlet-{name}-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)
        yield folder


def filled(template: Path, values: dict[str, str]) -> str:
    """The template with each @NAME@ replaced. Raises KeyError for a name that is missing in either."""
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
