"""Certificates of the edge: the user's own, or those of a development authority that cloudlet makes.

Both end in a folder for HAProxy's `crt`, one PEM file each with chain and key; the first by name is the
default.
"""

from __future__ import annotations

from cloudlet.edge.certificates.authority import DevelopmentAuthority, development_names
from cloudlet.edge.certificates.files import CertificateFiles, combined
from cloudlet.edge.certificates.folder import install

__all__ = ["CertificateFiles", "DevelopmentAuthority", "combined", "development_names", "install"]
