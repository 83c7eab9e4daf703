"""How requests are spread over the instances of a service."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from cloudlet.stack.fields import WORD_PATTERN, Model, Ratio, Shorthand, matching, text

#: the same words as contracts.edge.Algorithm, which stands above this layer
AlgorithmName: TypeAlias = Literal[
    "round-robin",
    "weighted-round-robin",
    "least-connections",
    "weighted-least-connections",
    "ip-hash",
    "consistent-hash",
    "least-response-time",
    "random",
    "resource-based",
]
HASHES = frozenset({"ip-hash", "consistent-hash"})
WEIGHTED = frozenset({"weighted-round-robin", "weighted-least-connections"})

_KEY_PATTERN = r"^(?:path|(?:header|cookie|query):[A-Za-z0-9_.-]{1,64})$"
HashKey = Annotated[
    str,
    matching(_KEY_PATTERN, "a key to hash", "write header:NAME, cookie:NAME, query:NAME or path"),
    text(_KEY_PATTERN, "key"),
]
#: HAProxy's greatest weight is 256
Weight = Annotated[int, Field(ge=1, le=256)]


class BalanceBy(Model):
    """An algorithm and its options."""

    algorithm: AlgorithmName = Field(default="least-connections", description="How the next instance is chosen.")
    key: HashKey | None = Field(
        default=None, description="For `consistent-hash`: header:NAME, cookie:NAME, query:NAME or path."
    )
    bounded: Ratio | None = Field(
        default=None,
        description="For hashing: the share of the mean load above which an instance passes requests on, e.g. 125%.",
    )
    weights: tuple[Weight, ...] = Field(
        default=(),
        description="For the weighted ones: of instance 1, 2, …; further instances take the last.",
    )


Balance = Annotated[
    BalanceBy,
    Shorthand(
        lambda value: {"algorithm": value} if isinstance(value, str) else value,
        {"type": "string", "enum": list(get_args(AlgorithmName)), "title": "algorithm"},
    ),
]


class Sticky(Model):
    """Keeps a client on its instance, for as long as that serves."""

    cookie: Annotated[
        str,
        matching(WORD_PATTERN, "a name of a cookie", "use letters, digits, `_`, `-` and `.`"),
        text(WORD_PATTERN, "name of a cookie"),
    ] = Field(description="The cookie that the edge sets.")
