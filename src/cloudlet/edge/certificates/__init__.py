"""Certificates of the edge: the user's own, or those of a development authority that cloudlet makes.

Both end in a folder for HAProxy's `crt`, one PEM file each with chain and key; the first by name is the
default.
"""

from __future__ import annotations

from cloudlet.edge.certificates.authority import DevelopmentAuthority, development_names
from cloudlet.edge.certificates.files import CertificateFiles, authorities, combined
from cloudlet.edge.certificates.folder import install, install_file

__all__ = [
    "AUTHORITIES",
    "CertificateFiles",
    "DevelopmentAuthority",
    "authorities",
    "combined",
    "development_names",
    "install",
    "install_file",
]

#: the file of those whose client certificates are taken, in the edge's folder
AUTHORITIES = "client-authorities.pem"
