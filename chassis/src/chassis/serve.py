"""`serve auth.main [--role api|worker|all]`: run one service."""

import argparse
import asyncio
import gc
import importlib
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from chassis.http.provided import registry
from chassis.runtime.service import Chassis, Service
from chassis.runtime.settings import ServiceSettings, load
from chassis.runtime.worker import Worker
from chassis.telemetry.logs import configure_logging

_BACKLOG = 2048  # uvicorn's default


class Server(uvicorn.Server):
    """Tells the application that shutdown begins: event streams end, and requests and messages share one
    grace period."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI):
            registry(app)[Chassis].stopping.set()
            registry(app)[Worker].begin_to_stop()
        super().handle_exit(sig, frame)


def open_sockets(settings: ServiceSettings) -> list[socket.socket] | None:
    """With an `own_port`, sockets for two ports: the one that all copies share, whose connections the kernel
    distributes among them, and this copy's own."""
    if settings.own_port is None:
        return None
    shared = socket.create_server((settings.host, settings.port), reuse_port=True, backlog=_BACKLOG)
    return [shared, socket.create_server((settings.host, settings.own_port), backlog=_BACKLOG)]


def main() -> None:
    """Exits with 0 after a graceful stop, 78 on bad settings, 1 when it could not start or a task ended."""
    parser = argparse.ArgumentParser(prog="serve", description=__doc__)
    parser.add_argument("module", help="where the service is declared, for example auth.main")
    parser.add_argument("--role", choices=["all", "api", "worker"])
    arguments = parser.parse_args()
    service: Service[Any] = importlib.import_module(arguments.module).service
    settings = load(service.settings)
    if arguments.role:
        settings = settings.model_copy(update={"role": arguments.role})
    configure_logging(service.name, settings.log_level)
    app = service.app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace),
        timeout_keep_alive=65,
    )
    server = Server(config)
    gc.collect()
    gc.freeze()  # the objects of imported modules live as long as the process: do not collect them
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=open_sockets(settings)))
    sys.exit(0 if server.started and not registry(app)[Worker].failed else 1)
