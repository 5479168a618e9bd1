"""The process: uvicorn on one port, and SIGHUP to read the file again, as `kong reload` does."""

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from standins.gateway.app import Gateway
from standins.gateway.config import Refused, read
from standins.gateway.plan import Plan, plan
from standins.gateway.upstream import Upstreams

log = logging.getLogger(__name__)


async def serve(listener: socket.socket, file: Path, first: Plan, addresses: Mapping[str, str]) -> None:
    """Serves `first` until SIGTERM or SIGINT; `addresses` maps upstream names to `host:port`."""
    upstreams = Upstreams(addresses)
    gateway = Gateway(first, upstreams)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, gateway, file)
    log.info("serving %s on http://127.0.0.1:%d", file, listener.getsockname()[1])
    try:
        await uvicorn.Server(_settings(gateway)).serve(sockets=[listener])
    finally:
        await upstreams.close()


def _reload(gateway: Gateway, file: Path) -> None:
    try:
        gateway.plan = plan(read(file))
    except Refused as refusal:
        log.error("still serving the configuration from before: %s", refusal)
    else:
        log.info("serving %s as it is now", file)


def _settings(gateway: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
