"""What an instance finds in its environment: FILE.md's table. Pure, given the environment it may inherit
from.

    later wins: inherited < the aliases < what it uses < its own in the file < PORT, HOST and CLOUDLET_*
"""

from __future__ import annotations

import os
from collections.abc import Mapping

#: all that is inherited; anything else in cloudlet's environment may be a secret and is nobody's business
INHERITED = (
    "PATH",  # to find programs
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",  # texts and encodings as the user has them
    "TZ",
    "TMPDIR",  # where temporary files are wanted
    "HOME",  # caches and settings of the user's own tools; as root, see _NO_HOME
    "USER",
    "LOGNAME",
    "VIRTUAL_ENV",  # some tools look for it
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",  # whom the user's machine trusts
)
#: the home of a service with a user of its own: that of root is neither its to write nor to look into
_NO_HOME = "/nonexistent"
_ROOT_ONLY = ("HOME", "USER", "LOGNAME")
#: a Python service would keep what it prints to itself until its buffer is full
_DEFAULTS = {"PYTHONUNBUFFERED": "1", "PATH": os.defpath}


def inherited_environment(base: Mapping[str, str], *, root: bool) -> dict[str, str]:
    """What every process of a stack starts from, from cloudlet's own environment."""
    kept = {name: base[name] for name in INHERITED if name in base}
    if root:
        kept = {name: value for name, value in kept.items() if name not in _ROOT_ONLY}
        kept["HOME"] = _NO_HOME
    return {**_DEFAULTS, **kept}


def instance_environment(
    stack: str,
    service: str,
    instance: str,
    port: int,
    host: str,
    own: Mapping[str, str],
    uses: Mapping[str, Mapping[str, str]],
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The whole environment of one instance. `own` is the file's, `uses` what each used name gives, `base`
    the environment to inherit from (cloudlet's own when None)."""
    inherited = inherited_environment(os.environ if base is None else base, root=os.geteuid() == 0)
    given = {name: value for variables in uses.values() for name, value in variables.items()}
    return {
        **inherited,
        **_aliases(uses),
        **given,
        **own,
        "PORT": str(port),
        "HOST": host,
        "CLOUDLET_STACK": stack,
        "CLOUDLET_SERVICE": service,
        "CLOUDLET_INSTANCE": instance,
    }


def _aliases(uses: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """`DATABASE_URL` and `REDIS_URL`, where exactly one is meant."""
    aliases: dict[str, str] = {}
    for alias, schemes in (("DATABASE_URL", ("postgres", "postgresql")), ("REDIS_URL", ("redis", "rediss"))):
        urls = [
            url
            for used, variables in uses.items()
            if (url := variables.get(f"{variable_name(used)}_URL", "")).partition("://")[0] in schemes
        ]
        if len(urls) == 1:
            aliases[alias] = urls[0]
    return aliases


def variable_name(name: str) -> str:
    """`shop-db` → `SHOP_DB`."""
    return name.upper().replace("-", "_")
