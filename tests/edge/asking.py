"""Requests byte for byte as a table gives them: nothing normalised, nothing added."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.edge.tokens import token

_SECONDS = 30


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(base: str, send: dict[str, Any], ca: Path | None = None) -> Reply:
    """Sends one request of a table to the edge at `base`; over TLS, trusting `ca`, if that is https."""
    scheme, netloc, *_ = urlsplit(base)
    if "raw" in send:
        return _ask_raw(netloc, send["raw"].encode("latin-1"))
    if scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            netloc, timeout=_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(netloc, timeout=_SECONDS)
    try:
        _send(connection, send)
        return _read(connection.getresponse())
    finally:
        connection.close()


def _ask_raw(netloc: str, request: bytes) -> Reply:
    host, port = netloc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return _read(answer)


def _read(answer: http.client.HTTPResponse) -> Reply:
    body = answer.read()
    headers: dict[str, str] = {}
    for name, value in answer.getheaders():
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    return Reply(answer.status, headers, body)


def _send(connection: http.client.HTTPConnection, send: dict[str, Any]) -> None:
    path, headers = send["path"] + "x" * send.get("long_path", 0), list(send.get("headers", {}).items())
    many = send.get("long_headers", {"count": 0})
    headers += [(f"X-Long-{number}", "x" * many["length"]) for number in range(many["count"])]
    if "token" in send:
        made = token(send["token"])
        match send.get("token_in", "header"):
            case "header":
                headers.append(("Authorization", f"Bearer {made}"))
            case "query":
                path += made
            case "cookie":
                headers.append(("Cookie", f"jwt={made}"))
    body = b"x" * send.get("body", 0)
    own_host = "Host" in send.get("headers", {})
    connection.putrequest(send.get("method", "GET"), path, skip_host=own_host, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode())
    if send.get("chunked"):
        connection.putheader("Transfer-Encoding", "chunked")
    elif body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body and not send.get("withhold"):
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if send.get("chunked") else body)
