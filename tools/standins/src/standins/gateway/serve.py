"""The process: uvicorn on one port, perhaps the status on another, and SIGHUP to read the file again."""

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import uvicorn

from standins.gateway.app import Gateway
from standins.gateway.config import Refused, read
from standins.gateway.metrics import Metrics, Status
from standins.gateway.plan import Plan, plan
from standins.gateway.proxies import Trusted
from standins.gateway.upstream import Upstreams

log = logging.getLogger(__name__)


async def serve(
    listener: socket.socket,
    file: Path,
    first: Plan,
    addresses: Mapping[str, str],
    status_listener: socket.socket | None = None,
    trusted: Trusted = (),
) -> None:
    """Serves `first` until SIGTERM or SIGINT; `addresses` maps upstream names to `host:port`, `trusted` are
    the proxies in front."""
    upstreams = Upstreams(addresses)
    metrics = Metrics() if status_listener else None
    gateway = Gateway(first, upstreams, metrics, trusted)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(upstreams.close)
        status = Status(metrics) if metrics else None
        if status and status_listener:
            await closing.enter_async_context(status.listening(status_listener))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, gateway, status, file)
        log.info("serving %s on http://%s:%d", file, *listener.getsockname()[:2])
        await uvicorn.Server(_settings(gateway)).serve(sockets=[listener])


def _reload(gateway: Gateway, status: Status | None, file: Path) -> None:
    """As `kong reload`: a broken file changes nothing but the readiness."""
    try:
        gateway.plan = plan(read(file))
    except Refused as refusal:
        log.error("still serving the configuration from before: %s", refusal)
        ready = False
    else:
        log.info("serving %s as it is now", file)
        ready = True
    if status is not None:
        status.ready = ready


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
