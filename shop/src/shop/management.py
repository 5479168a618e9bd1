"""RabbitMQ's management API as the operator: the calls that tools and tests need."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from shop.errors import ShopError


class Refused(ShopError):
    """The broker rejected the request."""


class Management:
    """`async with Management(url, user, password) as broker: await broker.get("queues")`."""

    def __init__(self, url: str, user: str, password: str, timeout: float = 10.0) -> None:
        self._http = httpx.AsyncClient(base_url=f"{url}/api/", auth=(user, password), timeout=timeout)

    async def __aenter__(self) -> "Management":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, *path: str) -> Any:
        return (await self._call("GET", path)).json()

    async def health(self, check: str) -> Any:
        """A health check's result, also of one that fails (503)."""
        answer = await self._http.get(_joined(("health", "checks", check)))
        return (answer if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else _check(answer)).json()

    async def put(self, *path: str, body: Mapping[str, Any] | None = None) -> None:
        await self._call("PUT", path, body or {})

    async def post(self, *path: str, body: Mapping[str, Any]) -> None:
        await self._call("POST", path, body)

    async def delete(self, *path: str) -> None:
        """Deleting what does not exist is no error."""
        answer = await self._http.delete(_joined(path))
        if answer.status_code != httpx.codes.NOT_FOUND:
            _check(answer)

    async def _call(
        self, method: str, path: tuple[str, ...], body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        return _check(await self._http.request(method, _joined(path), json=body))


def _joined(path: tuple[str, ...]) -> str:
    return "/".join(quote(part, safe="") for part in path)


def _check(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = answer.request
    raise Refused(
        f"RabbitMQ answered {answer.status_code} to {request.method} {request.url.path}: {answer.text}"
    )
