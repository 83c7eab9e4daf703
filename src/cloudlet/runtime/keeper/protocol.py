"""The version of what the keeper and its clients say to each other."""

from __future__ import annotations

#: grows when a request or an answer changes so that an older side would misread it
PROTOCOL = 1
