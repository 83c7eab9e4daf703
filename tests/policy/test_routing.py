"""Which route takes a request: precedence, methods, conditions, and what is said about it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudlet.policy.conditions import conditions
from cloudlet.policy.routing import Candidate, Request, Table
from cloudlet.stack.gateway.paths import Kind, canonical, pattern


def candidate(label: str, path: str, host: str = "", *methods: str, **more: object) -> Candidate:
    made = pattern(path)
    assert made is not None, path
    return Candidate(label, made, host, frozenset(methods), **more)  # type: ignore[arg-type]


def taken(table: Table, path: str, method: str = "GET", host: str = "h", **more: object) -> str | int:
    decision = table.decide(Request(method, host, path, **more))  # type: ignore[arg-type]
    return decision.label or decision.status


def test_the_specific_wins_whatever_the_order_of_the_file() -> None:
    """Host, kind of path, length, literal segments, conditions, methods; the list below is in that order."""
    x = conditions({"X": "any"}, {})
    two = conditions({"X": "any"}, {"q": "any"})
    ordered = [
        candidate("host-prefix", "/*", "h"),
        candidate("exact", "/a/b/c"),
        candidate("late-parameter", "/a/b/{x}"),
        candidate("middle-parameter", "/a/{x}/c"),
        candidate("early-parameter", "/{x}/b/c"),
        candidate("long-two", "/a/b/*", "", conditions=two),
        candidate("long-one-method", "/a/b/*", "", "GET", conditions=x),
        candidate("long-one", "/a/b/*", "", conditions=x),
        candidate("long-method", "/a/b/*", "", "GET"),
        candidate("long", "/a/b/*"),
        candidate("long-parameter", "/a/{x}/*"),
        candidate("short", "/a/*"),
        candidate("all", "/*"),
    ]
    for file in (ordered, ordered[::-1]):
        left = list(file)
        for wanted in ordered:
            assert taken(Table(left), "/a/b/c", headers=(("x", "1"),), query="q") == wanted.label
            left.remove(wanted)


def test_the_files_order_is_the_last_word() -> None:
    """Two routes that share a method, and nothing else tells them apart."""
    one, two = candidate("one", "/x", "", "GET", "POST"), candidate("two", "/x", "", "POST", "PUT")
    assert [taken(Table((one, two)), "/x", method) for method in ("GET", "POST", "PUT")] == ["one", "one", "two"]
    assert taken(Table((two, one)), "/x", "POST") == "two"


def test_head_follows_get_unless_it_is_named() -> None:
    """A route that names HEAD takes it from one of the same host and path that names GET."""
    get, head = candidate("get", "/x", "", "GET"), candidate("head", "/x", "", "HEAD")
    assert taken(Table((get,)), "/x", "HEAD") == "get"
    assert taken(Table((get, head)), "/x", "HEAD") == "head"


def test_a_preflight_goes_where_the_request_will() -> None:
    """Only where the route answers other origins, and only for a method there is."""
    table = Table((candidate("put", "/x", "", "PUT", cors=True), candidate("post", "/x", "", "POST")))

    def preflight(method: str) -> str | int:
        return taken(
            table, "/x", "OPTIONS", headers=(("Origin", "https://o"), ("Access-Control-Request-Method", method))
        )

    assert [preflight(method) for method in ("PUT", "POST", "put", "BREW")] == ["put", 405, 405, 405]
    assert taken(table, "/x", "OPTIONS") == 405


def test_what_nobody_takes_says_why() -> None:
    """405 with the methods that would be taken under these conditions; 404 with the conditions that fail."""
    asks = conditions({"X-Version": "2"}, {})
    table = Table((candidate("a", "/x", "", "GET"), candidate("b", "/x", "", "POST", conditions=asks)))
    refused = table.decide(Request("PUT", "h", "/x"))
    assert (refused.status, refused.allow) == (405, ("GET", "HEAD"))
    refused = table.decide(Request("PUT", "h", "/x", (("x-version", "2"),)))
    assert refused.allow == ("GET", "HEAD", "POST")
    only = Table((candidate("b", "/x", "", "POST", conditions=asks),)).decide(Request("POST", "h", "/x"))
    assert (only.status, only.because) == (404, "host and path fit b, but not the conditions")
    assert only.passed[0].because == "it asks for the header x-version to be 2, and there is none"


def test_a_decision_names_the_runners_up() -> None:
    """Those of the same host and path, each with its reason, and no others."""
    table = Table((candidate("all", "/*"), candidate("one", "/x", "", "GET"), candidate("other", "/y")))
    made = table.decide(Request("GET", "h", "/x"))
    assert made.because == "one has the more exact path (exact before parameters before prefix)"
    assert [(item.label, item.because) for item in made.passed] == [
        ("all", "it would take it too, but one has the more exact path (exact before parameters before prefix)")
    ]
    assert table.decide(Request("PUT", "h", "/x")).passed[0].because == "it takes GET and HEAD, not PUT"


def test_values_count_whole_and_once() -> None:
    """A header twice, a list of values, a parameter twice: no value at all."""
    wanted = conditions({"X-Version": "2"}, {"a b": "c&d"})
    table = Table((candidate("two", "/x", conditions=wanted), candidate("any", "/x")))

    def at(query: str, *values: str) -> str | int:
        return taken(table, "/x", headers=tuple(("x-version", value) for value in values), query=query)

    assert at("a+b=c%26d", "2") == at("%61%20b=c%26d&z", " 2 ") == "two"
    for query, values in (
        ("a+b=c%26d", ["2", "2"]),
        ("a+b=c%26d", ["1, 2"]),
        ("a+b=c%26d&a+b=c%26d", ["2"]),
        ("a+b=c&d", ["2"]),
        ("x=%26a+b=c%26d", ["2"]),
    ):
        assert at(query, *values) == "any", (query, values)


def test_paths_are_compared_as_the_edge_compares_them() -> None:
    """Decoded once, an encoded slash is a slash; what the edge refuses has no path."""
    assert canonical("/%61//b%2Fc%20d%25") == "/a/b/c%20d%25"
    for refused in ("/a/../b", "/%2e%2e/x", "/a%00", "/%zz", "a", "/."):
        assert canonical(refused) is None, refused
    assert pattern("/a/%2e%2e/*") is None
    parsed = pattern("/v1/{id}/*")
    assert parsed is not None and (parsed.kind, parsed.key, parsed.parameters) == (Kind.PREFIX, "/v1/{}/", ("id",))
    assert parsed.takes("/v1/7") and parsed.takes("/v1/7/x/y") and not parsed.takes("/v1/") and not parsed.takes("/v1")


_SEGMENT = st.sampled_from(["a", "b", "{x}"])
_PATHS = st.lists(_SEGMENT, max_size=3).map(lambda steps: "/" + "/".join(steps))


@given(st.lists(st.tuples(_PATHS, st.booleans()), max_size=6), st.permutations(range(6)), _PATHS)
def test_only_routes_alike_depend_on_the_order(made: list[tuple[str, bool]], order: list[int], path: str) -> None:
    """Shuffling the file changes nothing but between routes of one path."""
    paths = [(f"{text.rstrip('/')}/*" if prefix else text) for text, prefix in made]
    routes = [candidate(text.replace("{x}", "{}"), text.replace("/{x}", "/{p}", 1)) for text in dict.fromkeys(paths)]
    shuffled = [routes[place] for place in order if place < len(routes)]
    asked = path.replace("{x}", "c")
    assert taken(Table(routes), asked) == taken(Table(shuffled), asked)
