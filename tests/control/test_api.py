"""What the control API says of failures that nobody foresaw."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from cloudlet.control.api import _errors


async def test_a_bug_is_told_by_its_place(caplog):
    """The command line shows what went wrong and where, and the daemon's log the whole of it; a path that nobody has
    stays a 404."""

    async def broken(_: web.Request) -> web.Response:
        raise KeyError("nobody")

    app = web.Application(middlewares=[_errors])
    app.add_routes([web.get("/broken", broken)])
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/broken")
        told = await answer.json()
        assert (answer.status, told["kind"]) == (500, "InternalError")
        assert told["error"].startswith("KeyError: 'nobody' in ") and "test_api.py:" in told["error"]
        assert (await client.get("/elsewhere")).status == 404
    assert "Traceback" in caplog.text
