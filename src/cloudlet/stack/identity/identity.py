"""Credentials, roles and policies that the routes' `require` names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cloudlet.stack.fields import Model, Name, Shorthand
from cloudlet.stack.gateway.requirements import Word
from cloudlet.stack.identity.providers import ApiKeysOrTrue, Basic, Jwt, Oauth, Oidc, Policy, Role

RoleEntry = Annotated[Role, Shorthand(lambda value: {} if value is None else value, {"type": "null"})]


class Identity(Model):
    """Who may be there."""

    api_keys: ApiKeysOrTrue | None = Field(default=None, description="Keys that cloudlet issues; `true` for the usual.")
    jwt: dict[Name, Jwt] = Field(default={}, description="Issuers of tokens by name.")
    oauth: dict[Name, Oauth] = Field(default={}, description="Servers that know opaque tokens, by name.")
    oidc: dict[Name, Oidc] = Field(default={}, description="Providers where browsers sign in, by name.")
    basic: dict[Name, Basic] = Field(default={}, description="Lists of users with passwords, by name.")
    roles: dict[Word, RoleEntry] = Field(default={}, description="Roles that include others.")
    policies: dict[Name, Policy] = Field(default={}, description="Conditions on claims, by name.")
