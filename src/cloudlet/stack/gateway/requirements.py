"""Who may: credentials, roles, scopes and policies that a route requires, and lists of addresses."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from cloudlet.stack.fields import FilePath, Model, Name, Shorthand, Text
from cloudlet.stack.findings import Fault


def network(value: str) -> str:
    """As `10.0.0.0/8`; IPv4 written within IPv6 (`::ffff:10.0.0.7`) is IPv4, as it is for whoever asks. Raises
    Fault."""
    try:
        found = ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise Fault(
            f'"{value}" is neither an IP address nor a network', "write 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32"
        ) from error
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        return f"{mapped}/{found.prefixlen - 96}" if mapped is not None else str(found)
    return str(found)


def _one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return {"addresses": value} if isinstance(value, (str, list)) else value


def _word(value: str) -> str:
    if not value or any(character.isspace() or character in ',"\\' for character in value):
        raise Fault(f'"{value}" is no name of a role or scope', "write it without blanks, commas and quotes")
    return value


Network = Annotated[str, AfterValidator(network), WithJsonSchema({"type": "string", "title": "address or network"})]
Names = Annotated[tuple[Name, ...], Shorthand(_one, {"type": "string", "title": "name"})]
#: the name of a role or a scope, which are listed in headers
Word = Annotated[Text, AfterValidator(_word)]
Words = Annotated[tuple[Word, ...], Shorthand(_one, {"type": "string", "title": "text"})]


class AddressList(Model):
    """Addresses and networks, written here or one a line in a file (`#` begins a comment). A changed file counts
    within a second, without a reload."""

    addresses: Annotated[tuple[Network, ...], Shorthand(_one, {"type": "string"})] = Field(
        default=(), description="IPv4 and IPv6, CIDR."
    )
    file: FilePath | None = Field(default=None, description="A file of further ones.")


Addresses = Annotated[
    AddressList, Shorthand(_listed, {"type": "array", "items": {"type": "string"}, "title": "addresses"})
]


class Require(Model):
    """What a request needs. Of several credentials one is enough; of roles and scopes one each is; of policies all."""

    jwt: Names = Field(default=(), description="Tokens of these issuers below `identity.jwt`.")
    api_key: bool = Field(default=False, description="A key that `cloudlet key issue` gave.")
    basic: Names = Field(default=(), description="Users of these lists below `identity.basic`.")
    oauth: Names = Field(default=(), description="Opaque tokens, asked for at these servers below `identity.oauth`.")
    oidc: Names = Field(default=(), description="Browsers signed in at these providers below `identity.oidc`.")
    certificate: bool = Field(default=False, description="A client certificate (`edge.client_certificates`).")
    optional: bool = Field(default=False, description="Whoever shows nothing may pass, without an identity.")
    roles: Words = Field(default=(), description="One of these roles.")
    scopes: Words = Field(default=(), description="Each of these scopes.")
    policies: Names = Field(default=(), description="Each of these policies below `identity.policies`.")

    @property
    def credentials(self) -> tuple[tuple[str, str], ...]:
        """(kind, name) of everything that is accepted; the name is empty where there is only one of the kind."""
        named = [(kind, name) for kind in ("jwt", "basic", "oauth", "oidc") for name in getattr(self, kind)]
        single = [(kind, "") for kind in ("api_key", "certificate") if getattr(self, kind)]
        return (*named, *single)

    @model_validator(mode="after")
    def _something(self) -> Require:
        if self.optional and (self.roles or self.scopes or self.policies):
            fix = "take `optional` out, or give roles, scopes and policies to a route of their own"
            raise Fault("lets everybody pass who shows no credential, so roles, scopes and policies bind nobody", fix)
        if not self.credentials:
            fix = "name one: `jwt: NAME`, `api_key: true`, `basic: NAME`, `oauth: NAME`, `oidc: NAME`"
            raise Fault("requires something of a request, but accepts no credential", fix)
        return self
