"""The identity part of the file."""

from cloudlet.stack.identity.identity import Identity
from cloudlet.stack.identity.providers import ApiKeys, Basic, BasicUser, Issue, Jwt, Oauth, Oidc, Policy, Role

__all__ = ["ApiKeys", "Basic", "BasicUser", "Identity", "Issue", "Jwt", "Oauth", "Oidc", "Policy", "Role"]
