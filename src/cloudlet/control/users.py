"""Whom engines and instances run as when cloudlet is root, and what keeps that from being ideal."""

from __future__ import annotations

