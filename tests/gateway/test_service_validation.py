"""Requests checked by JSON Schema and OpenAPI, by the real gateway service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudlet.stack.documents import files, openapi_problem, schema_problem
from cloudlet.stack.gateway import Route

from .service import Gateway, Service
from .service import gateway as start

ITEM = {
    "type": "object",
    "properties": {"price": {"type": "number", "minimum": 0}, "name": {"type": "string", "maxLength": 5}},
    "required": ["price"],
    "additionalProperties": False,
}
ORDER = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "item.json"}, "minItems": 1},
        "email": {"type": "string", "format": "email"},
        "a/b~c": {"type": "integer"},
    },
    "required": ["items"],
}
API = """
openapi: 3.1.0
info: {title: shop, version: "1"}
servers: [{url: "https://api.shop.test/v1"}]
paths:
  /orders:
    get:
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
        - {name: state, in: query, schema: {type: array, items: {enum: [open, paid]}}}
        - {name: ids, in: query, explode: false, schema: {type: array, items: {type: integer}}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string, pattern: "^[a-z]+$"}}
        - {name: flag, in: query, schema: {type: boolean}}
      responses: {200: {description: ok}}
    post:
      requestBody: {$ref: "#/components/requestBodies/Order"}
      responses: {201: {description: made}}
  /orders/{id}:
    parameters: [{$ref: "#/components/parameters/Id"}]
    get: {responses: {200: {description: ok}}}
    delete: {responses: {204: {description: gone}}}
  /orders/latest:
    get: {responses: {200: {description: ok}}}
components:
  parameters:
    Id: {name: id, in: path, required: true, schema: {$ref: "#/components/schemas/Id"}}
  requestBodies:
    Order:
      required: true
      content:
        application/json: {schema: {$ref: "#/components/schemas/Order"}}
        application/*+json: {schema: {type: array}}
        text/csv: {}
  schemas:
    Id: {type: integer, minimum: 1}
    Order: {$ref: "order.json"}
"""


def write(folder: Path) -> Path:
    (folder / "item.json").write_text(json.dumps(ITEM))
    (folder / "order.json").write_text(json.dumps(ORDER))
    (folder / "api.yaml").write_text(API)
    return folder


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, web_port: int) -> Iterator[Gateway]:
    folder = write(tmp_path_factory.mktemp("gateway"))
    routes = {
        "schema": {"to": "web", "accept": {"json_schema": folder / "order.json"}},
        "api": {"to": "web", "accept": {"openapi": folder / "api.yaml"}},
    }
    made = start(folder, routes, web=web_port)
    yield made
    made.stop()


JSON = {"Content-Type": "application/json"}
TENANT = {"X-Tenant": "acme"}


async def test_a_body_that_fits_passes_as_it_was_sent(gateway: Gateway, web: Service) -> None:
    """Checked, and not written anew."""
    body = '{ "items": [{"price": 1.50}], "email": "a@b.test" }'
    said = await gateway.ask("/", "POST", label="schema", body=body, headers=JSON)
    assert (said.status, said.json()["body"]) == (200, body)
    assert (await gateway.ask("/", label="schema")).status == 200


async def test_every_place_that_does_not_fit_is_told(gateway: Gateway, web: Service) -> None:
    """By its pointer, in problem details; the service sees nothing of it."""
    body = {"items": [{"price": -1}, {"name": "toolong", "x": 1}], "email": "no", "a/b~c": "1"}
    said = await gateway.ask("/", "POST", label="schema", json=body)
    assert (said.problem, said.headers["content-type"]) == ("422 schema", "application/problem+json")
    places = {(error["pointer"], error["detail"]) for error in said.json()["errors"]}
    assert ("#/items/0/price", "-1 is less than the minimum of 0") in places
    assert {pointer for pointer, _ in places} == {
        "#/items/0/price",
        "#/items/1",
        "#/items/1/name",
        "#/email",
        "#/a~1b~0c",
    }
    assert web.targets == []


async def test_places_told_are_bounded(gateway: Gateway, web: Service) -> None:
    """A body that is wrong everywhere does not make an endless answer."""
    said = await gateway.ask("/", "POST", label="schema", json={"items": [{"price": -1}] * 10_000})
    assert len(said.json()["errors"]) == 20 and len(said.body) < 5_000


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b'{"items": [}', JSON, "400 malformed"),
        (b'{"items": [{"price": NaN}]}', JSON, "400 malformed"),
        (b'{"items": [{"price": 1}], "items": []}', JSON, "400 malformed"),
        (b"[" * 10_000, JSON, "400 malformed"),
        (b"", JSON, "400 malformed"),
        (b'{"items": []}', {"Content-Type": "text/plain"}, "415 content-type"),
        (b'{"items": []}', {**JSON, "Content-Encoding": "gzip"}, "415 content-encoding"),
        ('{"items": [{"price": 1}]}'.encode("utf-16"), JSON, "400 malformed"),
    ],
)
async def test_a_body_cannot_hide_from_the_check(
    gateway: Gateway, web: Service, body: bytes, headers: dict[str, str], expected: str
) -> None:
    """Neither malformed, nor behind another type, encoding or character set."""
    said = await gateway.ask("/", "POST", label="schema", body=body, headers=headers)
    assert (said.problem, web.targets) == (expected, [])


async def test_the_place_of_a_mistake_in_json_is_told(gateway: Gateway, web: Service) -> None:
    """Line, column, position."""
    said = (await gateway.ask("/", "POST", label="schema", body=b'{\n  "items": }', headers=JSON)).json()
    assert (said["line"], said["column"], said["position"]) == (2, 12, 13)


async def test_a_body_where_none_is_usual_is_checked_too(gateway: Gateway, web: Service) -> None:
    """A GET or DELETE with a body is no way around the schema."""
    for method in ("GET", "DELETE"):
        assert (await gateway.ask("/", method, label="schema", json={"items": 1})).problem == "422 schema"


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/v1/orders?limit=5&state=open&state=paid&ids=1,2&flag=true", TENANT),
        ("GET", "/v1/orders", TENANT),
        ("HEAD", "/v1/orders/7", {}),
        ("GET", "/v1/orders/latest", {}),
        ("GET", "/v1/orders/%37", {}),
        ("GET", "/v1/orders?unknown=1", TENANT),
    ],
)
async def test_described_operations_pass(
    gateway: Gateway, web: Service, method: str, target: str, headers: dict[str, str]
) -> None:
    """Parameters are read by their types; a literal path wins over a parameter."""
    said = await gateway.ask(target, method, label="api", headers=headers)
    assert (said.status, web.targets) == (200, [target]), said.body


@pytest.mark.parametrize(
    ("target", "headers", "parameter"),
    [
        ("/v1/orders?limit=0", TENANT, "limit"),
        ("/v1/orders?limit=five", TENANT, "limit"),
        ("/v1/orders?limit=5.0", TENANT, "limit"),
        ("/v1/orders?limit=5&limit=6", TENANT, "limit"),
        ("/v1/orders?limit=", TENANT, "limit"),
        ("/v1/orders?limit=%205", TENANT, "limit"),
        ("/v1/orders?state=open&state=lost", TENANT, "state"),
        ("/v1/orders?ids=1,x", TENANT, "ids"),
        ("/v1/orders?flag=yes", TENANT, "flag"),
        ("/v1/orders", {}, "X-Tenant"),
        ("/v1/orders", {"X-Tenant": "ACME"}, "X-Tenant"),
        ("/v1/orders/0", {}, "id"),
        ("/v1/orders/1%2f2", {}, "id"),
        ("/v1/orders/last", {}, "id"),
    ],
)
async def test_parameters_that_do_not_fit_are_named(
    gateway: Gateway, web: Service, target: str, headers: dict[str, str], parameter: str
) -> None:
    """Wherever they stand."""
    said = await gateway.ask(target, label="api", headers=headers)
    assert (said.problem, web.targets) == ("422 schema", [])
    assert [error["parameter"] for error in said.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/orders", "404 no-operation"),
        ("GET", "/v1/admin", "404 no-operation"),
        ("GET", "/v1/orders/1/items", "404 no-operation"),
        ("GET", "/v1//orders", "404 no-operation"),
        ("GET", "/v1/orders/", "404 no-operation"),
        ("PUT", "/v1/orders", "405 no-operation"),
        ("POST", "/v1/orders", "400 malformed"),
    ],
)
async def test_what_is_not_described_does_not_pass(
    gateway: Gateway, web: Service, method: str, target: str, expected: str
) -> None:
    """Unknown paths, unknown methods, a missing body."""
    said = await gateway.ask(target, method, label="api", headers=TENANT)
    assert (said.problem, web.targets) == (expected, [])
    assert said.status != 405 or said.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/json", '{"items":[{"price":1}]}', "200"),
        ("application/json; charset=utf-8", '{"items":[{"price":1}]}', "200"),
        ("application/json", '{"items":[{"price":-1}]}', "422 schema"),
        ("application/hal+json", "[1]", "200"),
        ("application/hal+json", "{}", "422 schema"),
        ("text/csv", "price\n1", "200"),
        ("text/xml", "<a/>", "415 content-type"),
    ],
)
async def test_bodies_by_their_type(gateway: Gateway, web: Service, kind: str, body: str, expected: str) -> None:
    """JSON is checked, also through references into other files; other types pass when they are described."""
    said = await gateway.ask("/v1/orders", "POST", label="api", body=body, headers={"Content-Type": kind})
    assert said.problem == expected


async def test_an_operation_without_a_body_takes_none(gateway: Gateway, web: Service) -> None:
    """What the document does not describe is nobody's to read."""
    said = await gateway.ask("/v1/orders/1", "DELETE", label="api", json={"x": 1})
    assert said.problem == "415 content-type"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "a.json:1:2: Expecting property name"),
        ("a.json", '{"type": "objekt"}', "is not valid under any"),
        ("a.json", '{"$ref": "http://127.0.0.1:9/x"}', "nothing is fetched from elsewhere"),
        ("a.json", '{"$ref": "../../etc/x.json"}', "leads out of"),
        ("a.json", '{"$ref": "none.json"}', "cannot be read"),
        ("a.json", '{"$ref": "#/$defs/none"}', "does not exist"),
        ("a.json", '{"pattern": "("}', 'is not a "regex"'),
        ("a.yaml", "type: [object", "a.yaml:1"),
        ("a.yaml", "a: &x 1\nb: *x", "aliases are not taken"),
        ("a.yaml", "a: 1\na: 2", "twice"),
        ("a.json", None, "cannot be read"),
    ],
)
def test_schemas_that_cannot_be_used(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    """Each says where and why, and nothing is fetched."""
    if text is not None:
        (tmp_path / name).write_text(text)
    problem = schema_problem(tmp_path / name)
    assert problem is not None and said in problem[0], problem
    assert problem[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("3.1.0", "3.0.3"), "openapi 3.0.3"),
        (("openapi:", "swagger:"), "no OpenAPI document"),
        (("in: path", "in: query"), "path parameter id"),
        (("#/components/parameters/Id", "#/components/parameters/No"), "leads nowhere"),
        (("https://api.shop.test/v1", "https://{host}/v1"), "variable"),
        (("/orders/latest:", "/orders/{name}:"), "path parameter name"),
        (("explode: false", "style: deepObject"), "deepObject"),
        (("schema: {type: boolean}", "schema: {type: bool}"), "api.yaml"),
        (("order.json", "other.json"), "cannot be read"),
        (("order.json", "https://example.test/order.json"), "nothing is fetched"),
    ],
)
def test_openapi_documents_that_cannot_be_used(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """What would not be checked is refused when it is read, not passed over."""
    file = write(tmp_path) / "api.yaml"
    assert openapi_problem(file) is None
    file.write_text(API.replace(*change))
    problem = openapi_problem(file)
    assert problem is not None and said in problem[0], problem


def test_documents_are_read_as_json_would_be(tmp_path: Path) -> None:
    """YAML's dates, octal numbers and `no` are text, as in JSON."""
    from cloudlet.stack.documents.reading import read

    (tmp_path / "a.yaml").write_text("a: no\nb: 2001-01-01\nc: 007\nd: 1.5\n200: true\nn:\ne: 1e3\n")
    expected: dict[str, Any] = {"a": "no", "b": "2001-01-01", "c": "007", "d": 1.5, "200": True, "n": None, "e": "1e3"}
    assert read(tmp_path / "a.yaml") == expected


def test_every_file_that_is_read_is_known(tmp_path: Path) -> None:
    """Those named and those referred to, once each, whatever circles they make."""
    folder = write(tmp_path)
    (folder / "item.json").write_text(json.dumps({**ITEM, "$defs": {"order": {"$ref": "order.json#/properties"}}}))
    accept = {"openapi": folder / "api.yaml", "json_schema": folder / "order.json"}
    route = Route.model_validate({"path": "/*", "to": "web", "accept": accept})
    assert {path.name for path in files(route)} == {"api.yaml", "order.json", "item.json"}
    assert len(files(route)) == 3
