"""`python -m cloudlet.gateway.egress --port PORT --config FILE`: one instance of `cloudlet-egress`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cloudlet.errors import CloudletError
from cloudlet.gateway.egress.serve import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cloudlet.gateway.egress", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--config", type=Path, required=True, help="contracts/egress.py as JSON, private to its user")
    given = parser.parse_args()
    try:
        run(given.port, given.config)
    except CloudletError as error:
        print(f"cloudlet-egress: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
