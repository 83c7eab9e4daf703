"""The design: models, loading, checking, JSON Schema. Knows nothing of running."""

from cloudlet.stack.balance import BalanceBy, Sticky
from cloudlet.stack.data import Cache, Database
from cloudlet.stack.edge import CertificateFiles, Edge, Listener
from cloudlet.stack.gateway import Gateway, Listen, Route
from cloudlet.stack.health import Eject, Health, Wait
from cloudlet.stack.interpolate import fill_secrets, secret_names
from cloudlet.stack.loading import load, parse
from cloudlet.stack.rules.names import OWN_PREFIX
from cloudlet.stack.schema import json_schema
from cloudlet.stack.service import Deployment, InstanceRange, Resources, Retries, Service, Stop
from cloudlet.stack.stack import Stack
from cloudlet.stack.starter import starter
from cloudlet.stack.warnings import check

__all__ = [
    "OWN_PREFIX",
    "BalanceBy",
    "Cache",
    "CertificateFiles",
    "Database",
    "Deployment",
    "Edge",
    "Eject",
    "Gateway",
    "Health",
    "InstanceRange",
    "Listen",
    "Listener",
    "Resources",
    "Retries",
    "Route",
    "Service",
    "Stack",
    "Sticky",
    "Stop",
    "Wait",
    "check",
    "fill_secrets",
    "json_schema",
    "load",
    "parse",
    "secret_names",
    "starter",
]
