"""What people read: a page without scripts, that nobody can frame; problem details for whoever wants no page."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from cloudlet.gateway.headers import Headers
from cloudlet.gateway.problem import REFUSED, Refusal
from cloudlet.gateway.response import Response

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}</style>
<h1>{title}</h1>
<p>{text}</p>
{more}
</html>
"""


class Stopped(Exception):
    """A sign-in that ends with a page. `reason` is for the audit, `again` the link that begins anew."""

    def __init__(self, status: int, title: str, text: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.title, self.text, self.reason = status, title, text, reason


def stopped(why: Stopped, again: str, *, html: bool) -> Response:
    """`again` is a path of ours."""
    if not html:
        return Refusal(why.status, f"{why.title}: {why.text}", reason=f"sign-in:{why.reason}").response()
    link = f'<p><a href="{escape(again)}">Sign in again</a></p>'
    response = page(why.status, why.title, why.text, link)
    response.headers.set(REFUSED, f"sign-in:{why.reason}")
    return response


def page(status: int, title: str, text: str, more: str = "", form_to: str = "") -> Response:
    """`more` is HTML already; `form_to` a further origin that a form may lead to."""
    nothing = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'unsafe-inline'"
    policy = f"{nothing}; form-action 'self' {form_to}"
    headers = {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": policy.strip(),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    body = _PAGE.format(title=escape(title or HTTPStatus(status).phrase), text=escape(text), more=more)
    return Response(status, Headers(headers.items()), body.encode("utf-8", "replace"))


def redirect(location: str, *cookies: str) -> Response:
    """By GET, whatever came (RFC 9110, 15.4.4)."""
    items = [("location", location), ("cache-control", "no-store"), ("referrer-policy", "no-referrer")]
    return Response(303, Headers([*items, *(("set-cookie", cookie) for cookie in cookies)]))


def wants_page(headers: Headers) -> bool:
    return "text/html" in headers.get("accept")
