"""Users with passwords, as the edge looks them up (contracts.guard.BasicUsers says why by a plain hash)."""

from __future__ import annotations

import hashlib

from cloudlet.contracts.guard import BasicUsers
from cloudlet.stack.identity import Basic


def basic_users(name: str, design: Basic, salt: str) -> BasicUsers:
    """Of the list `name`, whose passwords are resolved."""
    users = {
        hash_of(salt, name, user, entry.password): (user, tuple(entry.roles)) for user, entry in design.users.items()
    }
    return BasicUsers(design.realm, salt, users)


def hash_of(salt: str, name: str, user: str, password: str) -> str:
    """Neither list nor user holds a colon, so no two credentials are one text."""
    return hashlib.sha256(f"{salt}:{name}:{user}:{password}".encode()).hexdigest()
