"""`python -m standins.gateway` serves until SIGTERM or SIGINT, and reads the file again at SIGHUP;
`shop provision kong` prints the file to load."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import uvloop
from pydantic import BeforeValidator, PlainValidator
from pydantic.dataclasses import dataclass

from standins.gateway.app import Gateway
from standins.gateway.config import Refused, read
from standins.gateway.forward import Trusted, trusted_proxies
from standins.gateway.metrics import Metrics, Status
from standins.gateway.nginx import Protocol
from standins.gateway.plan import plan
from standins.gateway.tls import Tls, TlsServer
from standins.gateway.upstream import Upstreams
from standins.running import Misconfigured, http_server, read_settings

log = logging.getLogger("standins.gateway")

CANNOT_START = 78
_BARE = "<!doctype html><title>Error</title><h1>Error</h1><p>%s.</p><p>%s</p>"
DESCRIPTION = """Serves KONG_FILE on HOST and PORT, and with TLS on TLS_PORT, if there is one, with the files
TLS_CERT and TLS_KEY; its state and figures on STATUS_PORT, if there is one. UPSTREAMS maps names to addresses
(order=127.0.0.1:18004,…), TRUSTED_PROXIES are the proxies in front (10.0.0.0/8,…), ERROR_TEMPLATE_HTML is
the file of an error's page."""


def _addresses(text: str) -> dict[str, str]:
    known: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        name, _, address = pair.strip().partition("=")
        host, _, port = address.rpartition(":")
        if not name or not host or not port.isdigit():
            raise ValueError(f"write an upstream as name=host:port, not {pair!r}")
        known[name] = address
    return known


TrustedProxies = Annotated[Trusted, PlainValidator(trusted_proxies)]


@dataclass(frozen=True, slots=True)
class Settings:
    """`upstreams` maps upstream names to `host:port`, `trusted_proxies` are the proxies in front. TLS
    takes all three of its settings, the files in PEM. `error_template_html` has two `%s`, for the message and
    the request's id; without it a page is as bare as Kong's own."""

    kong_file: Path = Path("deploy/kong/kong.yml")
    upstreams: Annotated[dict[str, str], BeforeValidator(_addresses)] = field(default_factory=dict)
    trusted_proxies: TrustedProxies = ()
    host: str = "127.0.0.1"
    port: int = 18000
    status_port: int | None = None
    tls_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    error_template_html: Path | None = None
    log_level: str = "INFO"

    @property
    def error_html(self) -> str:
        """Raises Misconfigured for a template with other placeholders, OSError for a file that is no use."""
        if self.error_template_html is None:
            return _BARE
        text = self.error_template_html.read_text()
        try:
            text % ("", "")
        except (TypeError, ValueError):
            raise Misconfigured("ERROR_TEMPLATE_HTML: write %s twice, and %% for a percent sign") from None
        return text

    @property
    def tls(self) -> Tls | None:
        """Raises Misconfigured when one of the three is missing, OSError for files that are no use."""
        given = (self.tls_port, self.tls_cert, self.tls_key)
        if given == (None, None, None):
            return None
        if self.tls_port is None or self.tls_cert is None or self.tls_key is None:
            raise Misconfigured("set TLS_PORT, TLS_CERT and TLS_KEY, or none of them")
        return Tls(self.tls_port, self.tls_cert, self.tls_key)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises Refused for the file, OSError for a port that is taken."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    tls = settings.tls
    metrics = Metrics() if settings.status_port is not None else None
    status = Status(metrics) if metrics else None
    upstreams = Upstreams(settings.upstreams)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(upstreams.close)
        planned, error_html = plan(read(settings.kong_file)), settings.error_html
        gateway = Gateway(planned, upstreams, metrics, settings.trusted_proxies, error_html)
        listener = closing.enter_context(socket.create_server((settings.host, settings.port)))
        if status:
            listening = socket.create_server((settings.host, settings.status_port))
            await closing.enter_async_context(status.listening(closing.enter_context(listening)))
        server = http_server(gateway, settings.host, settings.port, **_OPTIONS)
        if tls:
            secure = closing.enter_context(socket.create_server((settings.host, tls.port)))
            server = TlsServer(server.config, tls, secure)
        reload = (gateway, status, tls, settings.kong_file)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, *reload)
        log.info("serving %s on http://%s:%d", settings.kong_file, *listener.getsockname()[:2])
        await server.serve(sockets=[listener])


# No proxy headers: whom a request comes from is for TRUSTED_PROXIES.
_OPTIONS: dict[str, Any] = {
    "http": Protocol,
    "lifespan": "off",
    "log_config": None,
    "proxy_headers": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 5,
}


def _reload(gateway: Gateway, status: Status | None, tls: Tls | None, file: Path) -> None:
    """As `kong reload`: a broken file changes nothing but the readiness."""
    try:
        planned = plan(read(file))
        if tls is not None:
            tls.load()
    except (Refused, OSError) as refusal:
        log.error("still serving the configuration from before: %s", refusal)
        ready = False
    else:
        gateway.plan = planned
        log.info("serving %s as it is now", file)
        ready = True
    if status is not None:
        status.ready = ready


def main() -> int:
    argparse.ArgumentParser("python -m standins.gateway", description=DESCRIPTION).parse_args()
    try:
        variables = {name: name.upper() for name in Settings.__dataclass_fields__}
        uvloop.run(serve(read_settings(Settings, variables)))
    except (Refused, Misconfigured, OSError) as error:
        sys.stderr.write(f"gateway: {' '.join(str(error).split())}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
