"""Secrets put into the place of their names, where a part of the design is handed to somebody who needs the values."""

from __future__ import annotations

from typing import Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel

from cloudlet.identity.secrets import Secrets
from cloudlet.stack import fill_secrets, secret_names

M = TypeVar("M", bound=BaseModel)

_ISSUING = "cloudlet-issuing-key"


def with_secrets(model: M, secrets: Secrets) -> M:
    """The same part with every `${secret:NAME}` replaced. Raises OperatorError for one that is not there."""
    return type(model).model_validate(_filled(model.model_dump(mode="json", by_alias=True), secrets))


def issuing_key(secrets: Secrets) -> str:
    """The key by which this stack signs tokens (P-256, PEM), made the first time."""
    return secrets.get_or_make(_ISSUING, _new_key).reveal()


def _new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _filled(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, secrets) for item in value]
    if isinstance(value, str) and "${secret:" in value:
        return fill_secrets(value, {name: secrets.read(name).reveal() for name in secret_names(value)})
    return value
