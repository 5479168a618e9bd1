"""HTTP APIs that an operator calls: the shop's through the gateway, and RabbitMQ's management API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

from chassis.tls import client_context
from shop.errors import ShopError
from shop.targets import Target


class BrokerRefused(ShopError):
    """The broker rejected the request."""


class Management:
    """`async with Management(url, user, password) as broker: await broker.get("queues")`.

    `ca_file`: CAs that verify an https URL; without it the platform's do.
    """

    def __init__(
        self, url: str, user: str, password: str, timeout: float = 10.0, ca_file: str | None = None
    ) -> None:
        verify = client_context(ca_file) if url.startswith("https:") else True
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/", auth=(user, password), timeout=timeout, verify=verify
        )

    async def __aenter__(self) -> "Management":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, *path: str) -> Any:
        return _check(await self._http.get(_joined(path))).json()

    async def health(self, check: str) -> Any:
        """A health check's result, also of one that fails (503)."""
        answer = await self._http.get(_joined(("health", "checks", check)))
        return (answer if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else _check(answer)).json()

    async def put(self, *path: str, body: Mapping[str, Any] | None = None) -> None:
        _check(await self._http.put(_joined(path), json=body or {}))

    async def post(self, *path: str, body: Mapping[str, Any]) -> None:
        _check(await self._http.post(_joined(path), json=body))

    async def delete(self, *path: str) -> None:
        """Deleting what does not exist is no error."""
        answer = await self._http.delete(_joined(path))
        if answer.status_code != httpx.codes.NOT_FOUND:
            _check(answer)


def _joined(path: tuple[str, ...]) -> str:
    return "/".join(quote(part, safe="") for part in path)


def _check(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = answer.request
    raise BrokerRefused(
        f"RabbitMQ answered {answer.status_code} to {request.method} {request.url.path}: {answer.text}"
    )


TIMEOUT_SECONDS = 30


@asynccontextmanager
async def admin_client(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with the administrator's token. Raises ShopError when the gateway does not answer."""
    async with httpx.AsyncClient(base_url=target.gateway_url, timeout=TIMEOUT_SECONDS) as http:
        form = {"username": target.admin_email, "password": target.admin_password}
        try:
            token = checked_json(await http.post("/v1/token", data=form))
        except httpx.TransportError as error:
            raise ShopError(
                f"the shop does not answer at {target.gateway_url}: `shop up` starts one here"
            ) from error
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield http


def checked_json(response: httpx.Response) -> Any:
    """The response's JSON. Raises ShopError with the problem's detail unless the status is 2xx."""
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        reason = problem.get("detail") or problem.get("title") or problem.get("message")
    except ValueError:
        reason = response.text[:200]
    raise ShopError(f"{response.request.method} {response.request.url.path}: {response.status_code} {reason}")


def management(target: Target) -> Management:
    """The broker's management API as the operator, with the CA file of the broker's URL."""
    login = urlsplit(target.operator_amqp_url)
    ca_file = dict(parse_qsl(login.query)).get("cafile")
    password = unquote(login.password or "")
    return Management(target.management_url, operator_of(target), password, ca_file=ca_file)


def operator_of(target: Target) -> str:
    """The operator's user at the broker."""
    return unquote(urlsplit(target.operator_amqp_url).username or "")
