"""What the edge checks credentials and addresses by, and keeps that up to date: keys, passwords, lists.

    construct → prepare (reads and checks everything) → accept → guard, and run beside it

`prepare` raises before anything has changed. Files are looked at every second and key sets every five minutes; what
turns bad later (a broken line, an issuer that is away) is told to the journal, and the last good one goes on counting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from cloudlet.contracts.guard import Condition, Guard, JwtIssuer, KeyRecord, VerificationKey, token_issuer
from cloudlet.contracts.paths import StatePaths
from cloudlet.control.journal import Journal
from cloudlet.control.own import ASK, SESSION
from cloudlet.control.secret_values import issuing_key, with_secrets
from cloudlet.errors import CloudletError, OperatorError, ProviderFailed
from cloudlet.identity import networks, verification
from cloudlet.identity.basic import basic_users
from cloudlet.identity.jwks import KeySets, is_file
from cloudlet.identity.secrets import Secrets
from cloudlet.stack import Stack
from cloudlet.stack.gateway.requirements import AddressList
from cloudlet.stack.identity import Identity, Jwt

#: seconds between two looks at files, and between two fetches of a key set
LOOK, REFRESH = 1.0, 300.0
_SALT = "cloudlet-basic-salt"
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that was read for one design: secrets are in it."""

    identity: Identity = field(default_factory=Identity)
    issuers: dict[str, JwtIssuer] = field(default_factory=dict)
    networks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: the files as they were before they were read
    stamps: dict[Path, _Stamp] = field(default_factory=dict, compare=False)


class Guarding:
    """`run` calls `changed` when the edge must be applied again."""

    def __init__(self, paths: StatePaths, secrets: Secrets, journal: Journal) -> None:
        self._secrets, self._journal = secrets, journal
        self._sets = KeySets(paths.root / "identity")
        self._known = Known()
        self._stamps: dict[Path, _Stamp] = {}
        self._fetched = 0.0

    async def prepare(self, stack: Stack) -> Known:
        """Read what the design names. Raises OperatorError for a secret, a key or a list that cannot be used; a key
        set that cannot be had is told, and its last good one is taken."""
        identity = with_secrets(stack.identity, self._secrets)
        stamps = {path: _stamp(path) for path in (*_address_files(stack), *_key_files(identity))}
        listed = {str(path): await asyncio.to_thread(networks.read, path) for path in _address_files(stack)}
        issuers = await asyncio.gather(*(self._issuer(name, jwt) for name, jwt in identity.jwt.items()))
        return Known(identity, dict(zip(identity.jwt, issuers, strict=True)), listed, stamps)

    def accept(self, known: Known) -> None:
        """From now on `guard` is of this design."""
        self._known, self._fetched = known, time.monotonic()
        self._stamps = dict(known.stamps)

    def guard(self, keys: Iterable[KeyRecord], ask: str) -> Guard:
        """`ask` is the address of cloudlet-gateway's internal listener, empty where there is none."""
        identity = self._known.identity
        salt = self._secrets.get_or_create(_SALT).reveal() if identity.basic else ""
        return Guard(
            jwt=self._known.issuers,
            basic={name: basic_users(name, design, salt) for name, design in identity.basic.items()},
            oauth={name: server.cache for name, server in identity.oauth.items()},
            oidc=tuple(identity.oidc),
            session_key=self._secrets.get_or_create(SESSION).reveal() if identity.oidc else "",
            key_header=identity.api_keys.header if identity.api_keys else "",
            keys=tuple(keys) if identity.api_keys else (),
            roles={name: role.includes for name, role in identity.roles.items()},
            policies={name: Condition(item.claims, item.unless_roles) for name, item in identity.policies.items()},
            ask=ask,
            ask_secret=self._secrets.get_or_create(ASK).reveal() if ask else "",
            networks=self._known.networks,
        )

    async def run(self, changed: Callable[[], None]) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                if await self.look(time.monotonic()):
                    changed()
            except CloudletError as error:
                self._journal.error("identity", "a change was not taken", str(error))

    async def look(self, now: float) -> bool:
        """Whether something has changed: a file, or, when they are due, a key set."""
        before = self._known
        for path in [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]:
            self._stamps[path] = _stamp(path)
            await self._read_again(path)
        if now - self._fetched >= REFRESH:
            self._fetched = now
            for name, jwt in before.identity.jwt.items():
                if jwt.jwks and not is_file(jwt.jwks):
                    await self._renew(before, name, jwt)
        return self._known != before

    async def _read_again(self, path: Path) -> None:
        before = self._known
        if str(path) in before.networks:
            await self._read_networks(path)
        for name, jwt in before.identity.jwt.items():
            if path in jwt.keys or (jwt.jwks and is_file(jwt.jwks) and Path(jwt.jwks) == path):
                await self._renew(before, name, jwt)

    async def _read_networks(self, path: Path) -> None:
        """Unless another design has come meanwhile: half a million addresses take seconds."""
        before = self._known
        try:
            found = await asyncio.to_thread(networks.read, path)
        except OperatorError as error:
            self._journal.error(
                str(path), "list of addresses not taken", f"{error}; the last good one goes on counting"
            )
            return
        if self._known is not before:
            return
        self._known = replace(self._known, networks={**self._known.networks, str(path): found})
        self._journal.info(str(path), "list of addresses taken", f"it changed; it has {len(found)} entries")

    async def _renew(self, of: Known, name: str, jwt: Jwt) -> None:
        """Its keys once more, unless another design has come meanwhile."""
        try:
            issuer = await self._issuer(name, jwt)
        except OperatorError as error:
            self._journal.error(f"identity.jwt.{name}", "keys not taken", f"{error}; the last good ones go on counting")
            return
        if self._known.identity is of.identity and issuer != self._known.issuers[name]:
            self._known = replace(self._known, issuers={**self._known.issuers, name: issuer})
            because = f"there are {len(issuer.keys)} for {', '.join(sorted(_algorithms(issuer))) or 'no algorithm'}"
            self._journal.info(f"identity.jwt.{name}", "keys changed", because)

    async def _issuer(self, name: str, jwt: Jwt) -> JwtIssuer:
        return JwtIssuer(
            issuer=token_issuer(name, jwt),
            audience=jwt.audience,
            keys=tuple(await self._keys(name, jwt)),
            asks=bool(jwt.jwks) or "EdDSA" in jwt.algorithms,
            leeway=jwt.leeway,
            user=jwt.user,
            roles=jwt.roles,
            scopes=jwt.scopes,
        )

    async def _keys(self, name: str, jwt: Jwt) -> list[VerificationKey]:
        where = f"identity.jwt.{name}"
        if jwt.secret is not None:
            return [verification.of_secret(jwt.secret, jwt.algorithms, where)]
        if jwt.issue is not None:
            return verification.of_pem(_public(issuing_key(self._secrets)), ("ES256",), where)
        if jwt.jwks is not None:
            return verification.of_set(await self._set(where, jwt.jwks), jwt.algorithms)
        return [
            key for path in jwt.keys for key in verification.of_pem(_content(path, where), jwt.algorithms, str(path))
        ]

    async def _set(self, where: str, address: str) -> dict[str, Any]:
        try:
            return await self._sets.fetch(address)
        except ProviderFailed as error:
            if is_file(address):
                raise OperatorError(f"{where}.jwks: {error}") from error
            last = self._sets.last(address)
            else_ = "the last good one goes on counting" if last else "until it answers only cloudlet-gateway asks it"
            self._journal.warning(where, "key set not fetched", f"{error}; {else_}")
            return last


def _key_files(identity: Identity) -> list[Path]:
    sets = [Path(jwt.jwks) for jwt in identity.jwt.values() if jwt.jwks and is_file(jwt.jwks)]
    return [*sets, *(path for jwt in identity.jwt.values() for path in jwt.keys)]


def _address_files(stack: Stack) -> list[Path]:
    gateway = stack.gateway
    if gateway is None:
        return []
    lists: list[AddressList | None] = [gateway.allow, gateway.deny]
    lists += [item for route in gateway.routes for item in (route.allow, route.deny)]
    return list(dict.fromkeys(item.file for item in lists if item is not None and item.file is not None))


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{where}.keys: {path} cannot be read: {error.strerror}") from error


def _public(private: str) -> bytes:
    key = serialization.load_pem_private_key(private.encode(), None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _algorithms(issuer: JwtIssuer) -> set[str]:
    return {name for key in issuer.keys for name in key.algorithms}


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
