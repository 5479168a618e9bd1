"""`python -m standins.gateway` serves; `shop provision kong` prints the file to load."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import uvloop

from standins.gateway.config import Refused, read
from standins.gateway.plan import plan
from standins.gateway.proxies import trusted_proxies
from standins.gateway.serve import serve

CANNOT_START = 78


def main(arguments: list[str]) -> int:
    _options().parse_args(arguments)
    try:
        return _serve()
    except (Refused, ValueError, OSError) as error:
        sys.stderr.write(f"gateway: {' '.join(str(error).split())}\n")
        return CANNOT_START


def _options() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m standins.gateway",
        description="Serves KONG_FILE on HOST and PORT, its state and figures on STATUS_PORT if there is one;"
        " UPSTREAMS says where names live (order=127.0.0.1:18004,…), TRUSTED_PROXIES which proxies stand in"
        " front (10.0.0.0/8,…).",
    )


def addresses(pairs: Iterable[str]) -> dict[str, str]:
    """`NAME=HOST:PORT` pairs as a mapping. Raises ValueError for anything else."""
    known: dict[str, str] = {}
    for pair in pairs:
        name, _, address = pair.strip().partition("=")
        host, _, port = address.rpartition(":")
        if not name or not host or not port.isdigit():
            raise ValueError(f"write an upstream as name=host:port, not {pair!r}")
        known[name] = address
    return known


def _serve() -> int:
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    file = Path(os.environ.get("KONG_FILE", "deploy/kong/kong.yml"))
    known = addresses(filter(None, os.environ.get("UPSTREAMS", "").split(",")))
    trusted = trusted_proxies(os.environ.get("TRUSTED_PROXIES", ""))
    first = plan(read(file))
    host, status_port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("STATUS_PORT")
    with ExitStack() as closing:
        listener = closing.enter_context(socket.create_server((host, int(os.environ.get("PORT", "18000")))))
        status = (
            closing.enter_context(socket.create_server((host, int(status_port)))) if status_port else None
        )
        uvloop.run(serve(listener, file, first, known, status, trusted))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
