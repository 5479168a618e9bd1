"""`python -m standins.gateway` serves; `shop provision kong` prints the file to load."""

import argparse
import sys

import uvloop

from standins.gateway.config import Refused
from standins.gateway.serve import from_environment, serve
from standins.running import Misconfigured

CANNOT_START = 78
DESCRIPTION = """Serves KONG_FILE on HOST and PORT, its state and figures on STATUS_PORT if there is one;
UPSTREAMS maps names to addresses (order=127.0.0.1:18004,…), TRUSTED_PROXIES are the proxies in front
(10.0.0.0/8,…)."""


def main() -> int:
    argparse.ArgumentParser("python -m standins.gateway", description=DESCRIPTION).parse_args()
    try:
        uvloop.run(serve(from_environment()))
    except (Refused, Misconfigured, OSError) as error:
        sys.stderr.write(f"gateway: {' '.join(str(error).split())}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
