"""Makes certificates: an authority limited to some names, and a server's certificate by it. EC P-256
throughout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
#: a new certificate must fit into the authority's life
AUTHORITY_RENEWAL = timedelta(days=120)
#: browsers accept 398 days at most; short, for it is renewed by itself
CERTIFICATE_LIFE = timedelta(days=90)
CERTIFICATE_RENEWAL = timedelta(days=30)
#: valid from a little ago, for clients whose clock is behind
_BACKDATED = timedelta(hours=1)

Network: TypeAlias = IPv4Network | IPv6Network
#: an issued certificate and its key
Issued: TypeAlias = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def good_until(self, now: datetime) -> bool:
        """Whether it lives long enough for another certificate."""
        return now < self.certificate.not_valid_after_utc - AUTHORITY_RENEWAL


def issue_authority(names: Iterable[str], now: datetime) -> Issuer:
    """A new authority for these names only, with what is below the host names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"cloudlet development CA for {', '.join(sorted(_hosts(names)))}")
    builder = (
        _builder(subject, key, now, AUTHORITY_LIFE)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(_constraints(names), critical=True)
    )
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def issue_certificate(issuer: Issuer, names: Iterable[str], now: datetime) -> Issued:
    """A server's certificate for these names (host names, `*.` before them, or addresses), and its new
    key."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject("cloudlet development"), key, now, CERTIFICATE_LIFE)
        .issuer_name(issuer.certificate.subject)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return builder.sign(issuer.key, hashes.SHA256()), key


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names that a server's certificate is for, as they were asked for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in found}


def permits(authority: x509.Certificate, names: Iterable[str]) -> bool:
    """Whether the authority is limited, and to no less than these names."""
    try:
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    return set(limits.permitted_subtrees or ()) >= set(_constraints(names).permitted_subtrees or ())


def _subject(organization: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:64])])  # X.520's length


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _constraints(names: Iterable[str]) -> x509.NameConstraints:
    listed = tuple(names)
    hosts = [x509.DNSName(host) for host in sorted(_hosts(listed))]
    networks = [x509.IPAddress(network) for network in sorted(_networks(listed), key=str)]
    # a kind of name without any permitted one would be unlimited, so addresses are always said
    return x509.NameConstraints(permitted_subtrees=[*hosts, *networks], excluded_subtrees=None)


def _hosts(names: Iterable[str]) -> set[str]:
    return {name.removeprefix("*.") for name in names if _address(name) is None} or {"localhost"}


def _networks(names: Iterable[str]) -> set[Network]:
    exact = {ip_network(name) for name in names if _address(name) is not None}
    return exact | {ip_network("127.0.0.0/8"), ip_network("::1/128")}


def _general(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(ip_address(name))


def _address(name: str) -> str | None:
    try:
        return str(ip_address(name))
    except ValueError:
        return None
