"""The shop's HTTP API through the gateway, as the administrator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from shop.errors import ShopError
from shop.targets import Target

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
