"""What kind of device asks."""

from __future__ import annotations

import pytest

from cloudlet.gateway.devices import device
from cloudlet.gateway.headers import Headers

MOZILLA = "Mozilla/5.0 "


@pytest.mark.parametrize(
    ("agent", "hint", "expected"),
    [
        (MOZILLA + "(iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Mobile/15E148 Safari/604", "", "mobile"),
        (MOZILLA + "(Linux; Android 14; Pixel 8) AppleWebKit/537 Chrome/120 Mobile Safari/537", "", "mobile"),
        (MOZILLA + "(Linux; Android 13; SM-X700) AppleWebKit/537 Chrome/120 Safari/537", "", "tablet"),
        (MOZILLA + "(Linux; Android 13; SM-X700) AppleWebKit/537 Chrome/120 Safari/537", "?0", "tablet"),
        (MOZILLA + "(iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605 Mobile/15E148", "", "tablet"),
        (MOZILLA + "(Windows NT 10.0; Win64; x64) AppleWebKit/537 Chrome/120 Safari/537", "", "desktop"),
        (MOZILLA + "(X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "", "desktop"),
        (MOZILLA + "(Android 14; Mobile; rv:120.0) Gecko/120.0 Firefox/120.0", "", "mobile"),
        (MOZILLA + "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", "bot"),
        (MOZILLA + "(Linux; Android 6) Mobile (compatible; bingbot/2.0)", "?1", "bot"),
        ("curl/8.0", "", "bot"),
        ("python-requests/2.31", "", "bot"),
        (MOZILLA + "(X11; Linux) Chrome/120", "?1", "mobile"),
        ("", "", "desktop"),
        ("", "?1", "mobile"),
        ("Cubot/1", "", "bot"),
        ("x" * 100_000 + "iphone", "", "desktop"),
    ],
)
def test_devices(agent: str, hint: str, expected: str) -> None:
    """Bots first, then tablets, the client's hint, phones; all else is a desktop."""
    fields = [("user-agent", agent), ("sec-ch-ua-mobile", hint)]
    assert device(Headers([(name, value) for name, value in fields if value])) == expected
