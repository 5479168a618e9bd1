"""The shop's front door as the command line uses it: signed in as the administrator, through the gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from shop.errors import ShopError
from shop.place import Place

TIMEOUT_SECONDS = 30


@asynccontextmanager
async def as_admin(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    """A client that carries the administrator's token. Raises ShopError when the shop does not answer."""
    async with httpx.AsyncClient(base_url=place.gateway_url, timeout=TIMEOUT_SECONDS) as http:
        form = {"username": place.admin_email, "password": place.admin_password}
        try:
            answer = told(await http.post("/v1/token", data=form))
        except httpx.TransportError as error:
            raise ShopError(
                f"the shop does not answer at {place.gateway_url}: `shop up` starts one here"
            ) from error
        http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        yield http


def told(response: httpx.Response) -> Any:
    """The answer's JSON. Raises ShopError with what the shop said when it refused."""
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        reason = problem.get("detail") or problem.get("title") or problem.get("message")
    except ValueError:
        reason = response.text[:200]
    raise ShopError(f"{response.request.method} {response.request.url.path}: {response.status_code} {reason}")
