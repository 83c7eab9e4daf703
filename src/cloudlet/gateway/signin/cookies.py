"""Cookies read and written (RFC 6265bis): of this host only, out of reach of scripts, and not sent along by other
sites but when they lead here. Pure."""

from __future__ import annotations

from cloudlet.gateway.headers import Headers


def read(headers: Headers) -> dict[str, str]:
    """The request's cookies. One that is there twice is none: a sibling host may have set the other."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for line in headers.all("cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals and name in found:
                twice.add(name)
            found[name] = value
    return {name: value for name, value in found.items() if name not in twice}


def write(name: str, value: str, seconds: int, *, secure: bool) -> str:
    """The value of Set-Cookie."""
    flags = "; Secure" if secure else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{flags}"


def clear(name: str, *, secure: bool) -> str:
    return write(name, "", 0, secure=secure)
