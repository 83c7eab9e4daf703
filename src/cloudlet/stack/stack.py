"""The whole design: what one file describes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PrivateAttr, model_validator

from cloudlet.stack import nodes
from cloudlet.stack.data import CacheEntry, DatabaseEntry
from cloudlet.stack.edge import Edge
from cloudlet.stack.egress import Egress
from cloudlet.stack.fields import Host, Model, Name
from cloudlet.stack.gateway import Gateway
from cloudlet.stack.identity import Identity
from cloudlet.stack.observe import Observe
from cloudlet.stack.service import Service


class Stack(Model):
    """One system, from one file."""

    name: Name = Field(description="The name of the stack.")
    domain: Host = Field(default="", description="Its domain; NAME.localhost where it is left out.")
    services: dict[Name, Service] = Field(default={}, description="What runs, by name.")
    edge: Edge = Field(default=Edge(), description="Settings of the load balancer itself.")
    gateway: Gateway | None = Field(default=None, description="The front door; without it nothing is routed.")
    identity: Identity = Field(default=Identity(), description="Credentials, roles and policies.")
    egress: Egress | None = Field(default=None, description="What services may reach outside; without it everything.")
    observe: Observe = Field(default=Observe(), description="Where measurements go.")
    databases: dict[Name, DatabaseEntry] = Field(default={}, description="Databases by name.")
    caches: dict[Name, CacheEntry] = Field(default={}, description="Caches by name.")

    _file: Path = PrivateAttr(default=Path("cloudlet.yaml"))
    _shown: str = PrivateAttr(default="")
    _text: str = PrivateAttr(default="")
    _tree: nodes.Node | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _domain_from_name(cls, data: object) -> object:
        if isinstance(data, dict) and "domain" not in data and isinstance(data.get("name"), str):
            return {**data, "domain": f"{data['name']}.localhost"}
        return data

    @property
    def file(self) -> Path:
        """The file it was read from, absolute."""
        return self._file

    @property
    def directory(self) -> Path:
        """The folder of the file, which its relative paths start from."""
        return self._file.parent

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._text

    @property
    def tree(self) -> nodes.Node:
        """The file's nodes, which know their places."""
        return self._tree or nodes.Mapping(nodes.Mark(0, 0), {})

    @property
    def shown(self) -> str:
        """The file as it was named by who asked, for messages."""
        return self._shown or str(self._file)

    def remember(self, file: Path, shown: str, text: str, tree: nodes.Node) -> None:
        """Where it came from; called once, by who reads it."""
        self._file, self._shown, self._text, self._tree = file, shown, text, tree
