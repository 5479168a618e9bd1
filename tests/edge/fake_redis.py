"""A redis that several gateways count in: a fake one that speaks the wire and refuses a wrong password."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler
from typing import Any, cast

from fakeredis import TcpFakeServer
from redis import Redis

PASSWORD = "edge"


@contextmanager
def running(port: int = 0, certificate: ssl.SSLContext | None = None) -> Iterator[str]:
    """The `host:port` of a server that is stopped, and forgets, when the block ends. With a certificate it
    speaks TLS alone."""
    server = TcpFakeServer(("127.0.0.1", port))
    # Its replies come in small pieces, each of which would wait for the last one's acknowledgement.
    handler = cast("type[StreamRequestHandler]", server.RequestHandlerClass)
    server.RequestHandlerClass = type("Prompt", (handler,), {"disable_nagle_algorithm": True})
    if certificate is not None:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    host, bound = str(server.server_address[0]), int(server.server_address[1])
    try:
        tls: dict[str, Any] = {
            "ssl": certificate is not None,
            "ssl_cert_reqs": "none",
            "ssl_check_hostname": False,
        }
        with Redis(host=host, port=bound, protocol=2, **tls) as client:
            client.acl_setuser("default", enabled=True, passwords=[f"+{PASSWORD}"])
        yield f"{host}:{bound}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def silent() -> Iterator[str]:
    """The `host:port` of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
