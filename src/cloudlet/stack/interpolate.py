"""`${env:NAME}` is filled in anywhere in values, `${secret:NAME}` kept for the start of an instance.

`$${` writes a literal `${`. Any other `${…}` is refused: silently passing `${HOME}` on would surprise whoever
expects it to be filled in. What an environment variable holds is never interpreted again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cloudlet.stack import nodes
from cloudlet.stack.findings import Finding, dotted, nearest

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_SECRET = re.compile(r"\$\{secret:([^}]*)\}")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def secret_names(value: str) -> list[str]:
    """The names of the `${secret:NAME}` in a value, each once, in order."""
    return list(dict.fromkeys(_SECRET.findall(value)))


def fill_secrets(value: str, secrets: Mapping[str, str]) -> str:
    """The value with every `${secret:NAME}` replaced; a missing name is a KeyError."""
    return _SECRET.sub(lambda found: secrets[found[1]], value)


def interpolate(root: nodes.Mapping, environment: Mapping[str, str]) -> tuple[nodes.Mapping, list[Finding]]:
    """The tree with the environment filled in, and what could not be."""
    findings: list[Finding] = []
    return _mapping(root, (), environment, findings), findings


def _mapping(
    node: nodes.Mapping, path: nodes.Path, environment: Mapping[str, str], findings: list[Finding]
) -> nodes.Mapping:
    entries = {
        key: (mark, _node(value, (*path, key), environment, findings)) for key, (mark, value) in node.entries.items()
    }
    return nodes.Mapping(node.mark, entries)


def _node(node: nodes.Node, path: nodes.Path, environment: Mapping[str, str], findings: list[Finding]) -> nodes.Node:
    if isinstance(node, nodes.Mapping):
        return _mapping(node, path, environment, findings)
    if isinstance(node, nodes.Sequence):
        items = (_node(item, (*path, index), environment, findings) for index, item in enumerate(node.items))
        return nodes.Sequence(node.mark, tuple(items))
    if node.text is None or "${" not in node.text:
        return node
    return _scalar(node, path, environment, findings)


def _scalar(
    node: nodes.Scalar, path: nodes.Path, environment: Mapping[str, str], findings: list[Finding]
) -> nodes.Scalar:
    problems: list[tuple[str, str]] = []
    kept = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal kept
        if found[0] == "$${":
            return "${"
        if reason := _unusable(found, path, environment):
            problems.append(reason)
            return ""
        source, _, name = found[1].partition(":")
        if source == "secret":
            kept += 1
            return found[0]
        return environment[name]

    text = _REFERENCE.sub(replace, node.written)
    if len(_SECRET.findall(text)) != kept and not problems:
        problems.append(("holds ${secret:…} that is not meant as a secret", "no value can hold this text"))
    findings += [Finding(path, f"{dotted(path)} {reason}", fix) for reason, fix in problems]
    return nodes.Scalar(node.mark, text, node.written, node.bare)


def _unusable(found: re.Match[str], path: nodes.Path, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Reason and fix when this reference cannot be used here."""
    whole, inner = found[0], found[1]
    source, colon, name = inner.partition(":")
    if not whole.endswith("}"):
        return f'holds "{whole}", which is not closed', "close it with }, or write $${ for a literal ${"
    if source == "env" and colon:
        return _unusable_environment(whole, name, environment)
    if source == "secret" and colon:
        return _unusable_secret(whole, name, path)
    literal = f"$${{{inner}}}"
    if _ENVIRONMENT_NAME.fullmatch(inner):
        return (
            f'holds "{whole}"',
            f"write ${{env:{inner}}} for the variable, or {literal} to keep it as it is",
        )
    return (
        f'holds "{whole}"',
        f"only ${{env:NAME}} and ${{secret:NAME}} are known; {literal} keeps it as it is",
    )


def _unusable_environment(whole: str, name: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    if not _ENVIRONMENT_NAME.fullmatch(name):
        return f'holds "{whole}", but "{name}" is no name of a variable', "write ${env:NAME}"
    if name not in environment:
        close = nearest(name, environment)
        hint = f', or did you mean "{close}"?' if close else ""
        return f'needs the environment variable "{name}", which is not set', f"export {name}=…{hint}"
    if "\0" in environment[name] or any("\ud800" <= c <= "\udfff" for c in environment[name]):
        return f'needs the environment variable "{name}", which is not UTF-8', "set it to text"
    return None


def _unusable_secret(whole: str, name: str, path: nodes.Path) -> tuple[str, str] | None:
    if not _takes_secrets(path):
        reason = f'holds "{whole}", but a secret reaches an instance by its environment only'
        return reason, "move it into the service's `environment`"
    if not _SECRET_NAME.fullmatch(name):
        return (
            f'holds "{whole}", but "{name}" is no name of a secret',
            "use letters, digits, `_`, `-` and `.`",
        )
    return None


def _takes_secrets(path: nodes.Path) -> bool:
    """A variable of a service, or a credential of the identity section."""
    if path[:1] == ("identity",):
        return path[-1] in ("secret", "client_secret", "password") or path[-2:-1] == ("users",)
    return len(path) == 4 and path[0] == "services" and path[2] == "environment"
