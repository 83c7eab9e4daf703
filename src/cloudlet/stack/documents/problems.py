"""What is wrong with a document, for `cloudlet check`; None where it can be used."""

from __future__ import annotations

from pathlib import Path


def schema_problem(path: Path) -> tuple[str, str] | None:
    """The reason and the fix."""
    from cloudlet.stack.documents.reading import Unusable  # noqa: PLC0415  (only files with documents pay for it)
    from cloudlet.stack.documents.schema import Schema  # noqa: PLC0415

    try:
        Schema.load(path)
    except Unusable as error:
        return str(error), error.fix
    return None


def openapi_problem(path: Path) -> tuple[str, str] | None:
    """The reason and the fix."""
    from cloudlet.stack.documents.openapi import OpenApi  # noqa: PLC0415
    from cloudlet.stack.documents.reading import Unusable  # noqa: PLC0415

    try:
        OpenApi(path)
    except Unusable as error:
        return str(error), error.fix
    return None
