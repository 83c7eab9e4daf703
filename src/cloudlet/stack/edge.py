"""The edge: what is said once for all traffic, and listeners that are no routes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from cloudlet.stack.fields import Address, FilePath, Model, Name, Port, PositiveDuration, Share, Shorthand
from cloudlet.stack.files import is_folder
from cloudlet.stack.findings import Fault


def _combined(value: Any) -> Any:
    return {"certificate": value} if isinstance(value, (str, Path)) else value


class CertificateFiles(Model):
    """A certificate chain and its key, in PEM."""

    certificate: FilePath = Field(description="The chain, the server's own first.")
    key: FilePath | None = Field(default=None, description="The key, where it is not in the same file.")


Certificate = Annotated[CertificateFiles, Shorthand(_combined, {"type": "string", "title": "path of chain and key"})]


def opened(pair: CertificateFiles) -> list[CertificateFiles]:
    """A folder stands for the PEM files in it, by name."""
    if pair.key is not None or not is_folder(pair.certificate):
        return [pair]
    return [CertificateFiles(certificate=file) for file in sorted(pair.certificate.glob("*.pem"))]


def _folders_filled(value: tuple[CertificateFiles, ...]) -> tuple[CertificateFiles, ...]:
    for pair in value:
        if not opened(pair):
            raise Fault(f'the folder "{pair.certificate}" holds no *.pem', "put chain and key in one file there")
    return value


Certificates = Annotated[tuple[Certificate, ...], AfterValidator(_folders_filled)]


class Log(Model):
    """The access log. Errors, refusals and slow requests are always written."""

    sample: Share = Field(default=0.01, description="The share of ordinary requests that are written.")
    slow: PositiveDuration = Field(default=1.0, description="A request that took longer is always written.")


class Listener(Model):
    """A port whose traffic all goes to one service. One of `tcp` and `udp`."""

    tcp: Port | None = Field(default=None, description="The port for a service with `protocol: tcp`; 0 for any free.")
    udp: Port | None = Field(default=None, description="The same for `protocol: udp`.")
    to: Name = Field(description="The service.")
    address: Address = Field(default="127.0.0.1", description="The address to listen on; 0.0.0.0 for every network.")


class Edge(Model):
    """Settings of the load balancer itself."""

    threads: int = Field(default=0, ge=0, le=64, description="Threads of HAProxy; 0 for one per core.")
    certificates: Certificates = Field(
        default=(),
        description="For https, the first is the default; a folder stands for its `*.pem`. Without any, "
        "cloudlet's development authority makes one.",
    )
    replicas: int = Field(default=1, ge=1, le=8, description="HAProxy processes that serve side by side.")
    client_certificates: FilePath | None = Field(
        default=None, description="Authorities (PEM) whose client certificates are taken; routes `require` them."
    )
    log: Log = Field(default=Log(), description="The access log.")
    listeners: dict[Name, Listener] = Field(default={}, description="TCP and UDP listeners by name.")

    def opened_certificates(self) -> list[CertificateFiles]:
        """The certificates of now: a folder's files come and go."""
        return [file for pair in self.certificates for file in opened(pair)]
