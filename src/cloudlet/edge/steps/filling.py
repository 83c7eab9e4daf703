"""Words of redirects and rewrites filled in, in HAProxy's words.

A parameter and `{rest}` are taken from the canonical path, decoded, and encoded anew where they are put (`{rest}` keeps
its slashes): a path can hold an encoded line end, a slash, a question mark. So what was matched is what is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloudlet.errors import InternalError
from cloudlet.stack.gateway.paths import pattern
from cloudlet.stack.gateway.templates import pieces

#: bytes of a path that fit HAProxy's buffers also when each has to be encoded
LONGEST_PATH = 4000
#: the path longer than that, which only a route that fills it in somewhere refuses
TOO_LONG = f"{{ var(txn.path) -m len gt {LONGEST_PATH} }}"
_ENCODED = "url_dec,url_enc"


def sources(path: str) -> dict[str, str]:
    """What each parameter of a route's path is, as an expression; and `rest`, what `*` took, without a first slash."""
    found = pattern(path)
    if found is None:
        return {}
    masked = [place for place, hidden in enumerate(found.mask, 2) if hidden]
    filled = {
        name: f"var(txn.path),field({place},/),{_ENCODED}" for name, place in zip(found.parameters, masked, strict=True)
    }
    if found.prefix:
        filled["rest"] = f"var(txn.path),field({len(found.segments) + 2},/,0),{_ENCODED},regsub(%2F,/,g)"
    return filled


def filled(template: str, known: Mapping[str, str], text: Callable[[str], str] = str) -> str:
    """A log-format text (configuration.txt, 8.2.4), not yet quoted; `text` encodes what is no word."""
    return "".join(_word(part, known) if word else literal(text(part)) for part, word in pieces(template))


def _word(word: str, known: Mapping[str, str]) -> str:
    if word not in known:
        raise InternalError(f"{{{word}}} is to be filled in, which the route does not know")
    return f"%[{known[word]}]"


def literal(text: str) -> str:
    return text.replace("%", "%%")
