"""What kind of device asks. A guess by a few words of `User-Agent`, in this order; `Sec-CH-UA-Mobile` wins over it.

    bot        says that it is one, or is a library or a command
    tablet     iPad, Tablet, PlayBook, Silk, Kindle; Android without Mobile
    mobile     Mobi, iPhone, iPod, Windows Phone, Opera Mini, BlackBerry
    desktop    everything else, also without `User-Agent`

An iPad that asks for desktop pages says that it is a Mac; nothing in the request shows otherwise.
"""

from __future__ import annotations

import re

from cloudlet.gateway.headers import Headers

DEVICES = ("mobile", "tablet", "desktop", "bot")
#: request headers that the guess is made from, for `Vary`
SOURCES = ("User-Agent", "Sec-CH-UA-Mobile")
_BOT = re.compile(
    r"bot\b|bot[/;]|crawl|spider|slurp|facebookexternalhit|\bpreview\b|monitor"
    r"|^(?:curl|wget|python|go-http-client|okhttp|java|libwww|httpie|axios|node)\b",
    re.IGNORECASE,
)
_TABLET = re.compile(r"ipad|tablet|playbook|silk|kindle|android(?!.*mobi)", re.IGNORECASE)
_MOBILE = re.compile(r"mobi|iphone|ipod|windows phone|opera mini|blackberry", re.IGNORECASE)
_LONGEST = 512


def device(headers: Headers) -> str:
    agent = headers.get("user-agent")[:_LONGEST]
    if _BOT.search(agent):
        return "bot"
    if _TABLET.search(agent):
        return "tablet"
    hint = headers.get("sec-ch-ua-mobile")
    if hint in ("?1", "?0"):
        return "mobile" if hint == "?1" else "desktop"
    return "mobile" if _MOBILE.search(agent) else "desktop"
