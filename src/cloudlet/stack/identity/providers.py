"""Who is there: where credentials come from, and what is read from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from cloudlet.stack.fields import Duration, FilePath, HeaderName, Model, PositiveDuration, Shorthand, Text
from cloudlet.stack.findings import Fault
from cloudlet.stack.gateway.requirements import Words

JwtAlgorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


def _one(value: Any) -> Any:
    return [value] if isinstance(value, (str, Path)) else value


def _nothing(value: Any) -> Any:
    return {} if value in (None, True, "true") else value


def _located(value: str, info: ValidationInfo) -> str:
    """An address as it is; a path from the file's own folder."""
    if "://" in value:
        return value
    return str(Path(info.context["directory"] if info.context else Path.cwd(), value))


def _user(value: str) -> str:
    """RFC 7617, 2: the name ends at the first colon."""
    if not value or ":" in value or not value.isprintable():
        raise Fault(f'"{value}" is no user: the name ends at the first colon', "write it without colons")
    return value


UserName = Annotated[Text, AfterValidator(_user)]


class ApiKeys(Model):
    """Keys that `cloudlet key issue` gives out; only their hashes are kept."""

    header: HeaderName = Field(default="X-API-Key", description="Where a request carries its key.")


class Issue(Model):
    """cloudlet itself gives tokens of this kind to machines: OAuth 2.0 client credentials, where the client is an
    API key (its id and the key)."""

    path: Text = Field(default="/oauth/token", description="The path of the token endpoint at the gateway.")
    lifetime: PositiveDuration = Field(default=600.0, description="How long a token is good.")


class Jwt(Model):
    """Tokens of one issuer (RFC 7519). One of `secret`, `keys`, `jwks` and `issue`."""

    issuer: Text | None = Field(default=None, description="What `iss` must be.")
    audience: Text | None = Field(default=None, description="What `aud` must hold.")
    algorithms: Annotated[tuple[JwtAlgorithm, ...], Shorthand(_one, {"type": "string"})] = Field(
        default=(), description="The signatures that are taken; by the keys where left out. Never `none`."
    )
    secret: Text | None = Field(default=None, description="For HS256 to HS512: `${secret:NAME}`, 32 bytes or more.")
    keys: Annotated[tuple[FilePath, ...], Shorthand(_one, {"type": "string"})] = Field(
        default=(), description="Public keys in PEM."
    )
    jwks: Annotated[Text, AfterValidator(_located)] | None = Field(
        default=None, description="The address of a key set, or a file; read again on rotation."
    )
    issue: Annotated[Issue, Shorthand(_nothing, {"type": "boolean"})] | None = Field(
        default=None, description="cloudlet gives out these tokens itself."
    )
    leeway: Duration = Field(default=30.0, description="How far clocks may differ.")
    user: Text = Field(default="sub", description="The claim that names the user.")
    roles: Text = Field(default="roles", description="The claim that holds the roles; `a.b` for `b` within `a`.")
    scopes: Text = Field(default="scope", description="The claim that holds the scopes, as text or a list.")

    @model_validator(mode="after")
    def _one_source(self) -> Jwt:
        sources = [name for name in ("secret", "keys", "jwks", "issue") if getattr(self, name)]
        if len(sources) != 1:
            said = f"has {' and '.join(sources)}" if sources else "has no keys"
            raise Fault(said, "give just one of `secret`, `keys`, `jwks` and `issue`")
        return self


class Oauth(Model):
    """Opaque tokens, asked for at the authorization server (RFC 7662)."""

    introspection: Text = Field(description="The address of the introspection endpoint.")
    client_id: Text = Field(description="As the gateway is known there.")
    client_secret: Text = Field(description="`${secret:NAME}`.")
    cache: Duration = Field(default=30.0, description="How long an answer counts; a token's own expiry ends it before.")
    user: Text = Field(default="sub", description="The field that names the user.")
    roles: Text = Field(default="roles", description="The field that holds the roles.")
    scopes: Text = Field(default="scope", description="The field that holds the scopes.")


class Oidc(Model):
    """Sign-in of browsers (OpenID Connect, authorization code with PKCE)."""

    issuer: Text = Field(description="The provider's address; the rest is discovered.")
    client_id: Text = Field(description="As registered there.")
    client_secret: Text | None = Field(default=None, description="`${secret:NAME}`; none for a public client.")
    scopes: tuple[Text, ...] = Field(default=("openid", "profile", "email"), description="What is asked for.")
    session: PositiveDuration = Field(default=28800.0, description="How long a browser stays signed in.")
    user: Text = Field(default="sub", description="The claim that names the user.")
    roles: Text = Field(default="roles", description="The claim that holds the roles.")


class BasicUser(Model):
    """One user of a list."""

    password: Text = Field(description="`${secret:NAME}`.")
    roles: Words = Field(default=(), description="The roles.")


def _password(value: Any) -> Any:
    return {"password": value} if isinstance(value, str) else value


class Basic(Model):
    """Users with passwords (RFC 7617), for tools and small teams."""

    users: dict[UserName, Annotated[BasicUser, Shorthand(_password, {"type": "string"})]] = Field(
        description="User to password, or `{password, roles}`."
    )
    realm: Text = Field(default="cloudlet", description="What browsers show.")


class Role(Model):
    """A role."""

    includes: Words = Field(default=(), description="Roles that it also is.")


class Policy(Model):
    """A condition on claims: each must be equal to the value, or hold it where it is a list. `{id}` is a parameter of
    the path, `{method}` the method, `{host}` the host."""

    claims: dict[Text, Text] = Field(description="Claim to value.")
    unless_roles: Words = Field(default=(), description="Roles that it does not bind.")


ApiKeysOrTrue = Annotated[ApiKeys, Shorthand(_nothing, {"type": "boolean"})]
