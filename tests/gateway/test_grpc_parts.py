"""Templates of paths, lines of bodies, and what the file's rule says of gRPC routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlet.errors import StackError
from cloudlet.gateway.grpc.lines import lines
from cloudlet.gateway.grpc.template import TemplateError, of_annotation, of_route
from cloudlet.stack import parse
from cloudlet.stack.descriptors import descriptor_problem

from .shop_grpc import SERVICE, descriptor_set


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("/v1/orders/{id}", "/v1/orders/7", {"id": "7"}),
        ("/v1/orders/{id}", "/v1/orders/a%2Fb", {"id": "a/b"}),
        ("/v1/orders/{id}", "/v1/orders/7/8", None),
        ("/v1/orders/{id}", "/v1/orders/", None),
        ("/v1/{name=shops/*/orders/*}", "/v1/shops/a/orders/b%2Fc", {"name": "shops/a/orders/b%2Fc"}),
        ("/v1/{name=shops/*}:close", "/v1/shops/a:close", {"name": "shops/a"}),
        ("/v1/{name=shops/*}:close", "/v1/shops/a:open", None),
        ("/v1/{path=**}", "/v1/a/b/c", {"path": "a/b/c"}),
        ("/v1/*/x", "/v1/a/x", {}),
        ("/a.b", "/aXb", None),
    ],
)
def test_annotated_templates(template: str, path: str, found: dict[str, str] | None) -> None:
    """Segments, several segments, verbs; what is not of a pattern is meant as it stands."""
    assert of_annotation(template).match(path) == found


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("/api/*", "/api", {}),
        ("/api/*", "/api/a/b", {}),
        ("/api/*", "/apis", None),
        ("/*", "/anything", {}),
        ("/{shop}/*", "/7/x", {"shop": "7"}),
    ],
)
def test_templates_of_routes(template: str, path: str, found: dict[str, str] | None) -> None:
    """The file's own: a prefix takes itself too."""
    assert of_route(template).match(path) == found


@pytest.mark.parametrize("template", ["v1", "/v1/{id", "/v1/id}", "/v1/{}", "/v1/{a={b}}"])
def test_what_is_no_template(template: str) -> None:
    """A descriptor that says so is refused at the start."""
    with pytest.raises(TemplateError):
        of_annotation(template)


@given(st.text(min_size=1, max_size=20).filter(lambda text: text < "\ud800"))
def test_any_value_comes_back_from_a_path(text: str) -> None:
    """Whatever a client percent-encodes into a segment is the field's value."""
    assert of_annotation("/v1/{id}:go").match(f"/v1/{quote(text, safe='')}:go") == {"id": text}


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line and line.strip())), st.data())
def test_lines_however_they_are_cut(written: list[bytes], data: st.DataObject) -> None:
    """The pieces in which a body comes do not matter."""
    body = b"\n".join(written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read() -> list[bytes]:
        return [line async for line in lines(chunks())]

    assert asyncio.run(read()) == written


def test_what_check_says_of_descriptors(tmp_path: Path) -> None:
    """Before anything runs: the file, the service and the method are looked at."""
    file = tmp_path / "shop.pb"
    file.write_bytes(descriptor_set())
    assert descriptor_problem(file, SERVICE, "Get") is None
    assert descriptor_problem(file, "shop.v1.Order", None) == (
        f'{file} holds no service "shop.v1.Order"',
        'did you mean "shop.v1.Orders"?',
    )
    assert descriptor_problem(file, SERVICE, "Got") == (f'{SERVICE} has no method "Got"', 'did you mean "Get"?')
    file.write_text("name: shop\n")
    problem = descriptor_problem(file, SERVICE, None)
    assert problem is not None and problem[0].endswith("is not a descriptor set")


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once, with what to install."""
    monkeypatch.setattr("cloudlet.stack.rules.grpc.missing_extra", lambda: True)
    text = (
        "name: shop\nservices: {orders: {command: python3, protocol: http2}}\ngateway:\n  routes:\n"
        "    - {path: /a/*, to: orders, grpc: {service: shop.v1.Orders, reflection: true}}\n"
        "    - {path: /b/*, to: orders, grpc: {service: shop.v1.Orders, reflection: true}}\n"
    )
    with pytest.raises(StackError) as caught:
        parse(text, tmp_path / "cloudlet.yaml")
    (problem,) = caught.value.problems
    assert "not installed" in problem.message and problem.fix == "pip install 'cloudlet[grpc]'"
