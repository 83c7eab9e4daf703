"""Puts the answers about tokens into the gateway service."""

from __future__ import annotations

import time

from cloudlet.contracts.guard import VERIFY
from cloudlet.gateway.server import Application
from cloudlet.gateway.tokens.attempts import Attempts
from cloudlet.gateway.tokens.clients import Clients
from cloudlet.gateway.tokens.fetch import Fetcher
from cloudlet.gateway.tokens.introspection import Introspection
from cloudlet.gateway.tokens.issue import KEYS, KeySets, TokenEndpoint
from cloudlet.gateway.tokens.issuers import Issuer
from cloudlet.gateway.tokens.signing import Signer
from cloudlet.gateway.tokens.verify import Check, Verifier


def install(application: Application) -> None:
    """Before the application starts. Raises OperatorError where a key cannot be read or a secret is too short."""
    configuration = application.configuration
    identity, fetcher = configuration.identity, Fetcher()
    application.on_stop(fetcher.close)
    signer = Signer(configuration.issuing_key) if configuration.issuing_key else None
    issued = signer.published() if signer else []
    checks: dict[tuple[str, str], Check] = {}
    for name, jwt in identity.jwt.items():
        checks["jwt", name] = Issuer(name, jwt, fetcher, issued).check
    for name, oauth in identity.oauth.items():
        checks["oauth", name] = Introspection(name, oauth, fetcher).check
    application.add(VERIFY, Verifier(checks, configuration.ask_secret).handle)
    if signer is not None:
        _install_endpoints(application, signer)


def _install_endpoints(application: Application, signer: Signer) -> None:
    configuration = application.configuration
    issuers = {name: jwt for name, jwt in configuration.identity.jwt.items() if jwt.issue}
    clients, attempts = Clients(configuration.api_keys, time.time), Attempts()
    for name, jwt in issuers.items():
        assert jwt.issue is not None, "filtered above"
        application.add(jwt.issue.path, TokenEndpoint(name, jwt, signer, clients, attempts).handle)
    application.add(KEYS, KeySets(signer, frozenset(issuers)).handle)
