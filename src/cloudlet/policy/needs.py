"""Which of cloudlet's own services a design needs, and why. Pure."""

from __future__ import annotations

from cloudlet.policy.limits.engine import needs_store as limits_need_store
from cloudlet.stack import Stack
from cloudlet.stack.identity import Identity


def needs_gateway(stack: Stack) -> bool:
    """Whether something is asked for that the edge alone cannot do."""
    if stack.gateway is None:
        return False
    asked = bool(stack.identity.oidc) or asks_about_tokens(stack.identity)
    return asked or any(route.needs_gateway for route in stack.gateway.routes)


def asks_about_tokens(identity: Identity) -> bool:
    """Whether there are tokens that the edge cannot check by itself, or that cloudlet gives out."""
    return bool(identity.oauth) or any(
        jwt.jwks or jwt.issue or "EdDSA" in jwt.algorithms for jwt in identity.jwt.values()
    )


def needs_store(stack: Stack) -> bool:
    """Whether answers are kept that several processes share."""
    return stack.gateway is not None and any(route.idempotency for route in stack.gateway.routes)


def needs_limits(stack: Stack) -> bool:
    """Whether requests are counted where no table of one edge can count them."""
    gateway = stack.gateway
    return gateway is not None and limits_need_store(gateway.routes, gateway, stack.edge.replicas)
