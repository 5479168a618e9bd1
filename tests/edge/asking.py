"""Requests byte for byte as a table gives them: nothing normalised, nothing added."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.edge.tokens import token


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(base: str, send: dict[str, Any]) -> Reply:
    """Sends one request of a table to the edge at `base`."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    try:
        _send(connection, send)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    headers: dict[str, str] = {}
    for name, value in answer.getheaders():
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    return Reply(answer.status, headers, body)


def _send(connection: http.client.HTTPConnection, send: dict[str, Any]) -> None:
    path, headers = send["path"], list(send.get("headers", {}).items())
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
    connection.putrequest(send.get("method", "GET"), path, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode())
    if send.get("chunked"):
        connection.putheader("Transfer-Encoding", "chunked")
    elif body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body and not send.get("withhold"):
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if send.get("chunked") else body)
