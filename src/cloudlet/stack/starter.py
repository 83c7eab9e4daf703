"""The file that `cloudlet init` writes: it runs as it is, and shows by comments where to go on."""

from __future__ import annotations

import re

from cloudlet.stack.fields import LONGEST_NAME, NAME_PATTERN

_TEXT = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/cloudlet/cloudlet/main/docs/reference/cloudlet.schema.json
#
# One file describes the system; `cloudlet up` runs it. `cloudlet check` says what is wrong or worth a word.
# Every key: docs/reference/file.md
name: @NAME@

services:
  web:
    # Any program, no shell; it must listen on 127.0.0.1:{port}. {instance} and {directory} are filled in too.
    command: python3 -m http.server {port} --bind 127.0.0.1 --directory public
    # directory: web                      # where it runs, relative to this file
    # environment: {LOG_LEVEL: info, API_TOKEN: "${secret:api-token}"}
    instances: 2                          # requests are spread over them; kill one and nobody notices
    health: {path: /, interval: 1s}       # in traffic as soon as this answers
    # balance: least-connections          # or {algorithm: consistent-hash, key: header:X-User}
    # concurrency: 100                    # requests one instance works on at once; the rest wait at the edge
    # resources: {cpu: 0.5, memory: 256MB}
    # uses: [@NAME@-db, sessions]         # their addresses, as variables such as SESSIONS_URL

gateway:
  listen: {http: 8080, https: off}        # on 127.0.0.1; `https: 8443` makes a development certificate
  routes:
    - {path: /*, to: web}
    # - {host: api.@NAME@.localhost, path: /v1/*, to: web}

# databases:
#   @NAME@-db: {engine: postgres}
# caches:
#   sessions: {engine: valkey, memory: 64MB}
"""


def starter(name: str) -> str:
    """A commented file for a new system; a name that is none is made one."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[: LONGEST_NAME - 4].rstrip("-")
    if not re.search(NAME_PATTERN, cleaned) or cleaned.startswith("cloudlet"):
        cleaned = cleaned if re.search(NAME_PATTERN, cleaned) else "my-cloud"
    return _TEXT.replace("@NAME@", cleaned)
