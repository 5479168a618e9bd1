"""The public API, called through the gateway as the shopper, with the shopper's token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx

from storefront.answers import Answers

Json = dict[str, Any]
Query = Mapping[str, str | int] | list[tuple[str, str | int | float | bool | None]]
_LONGEST_WAIT = 3600
NOT_MODIFIED = 304


@dataclass
class Refused(Exception):
    """The API's response is an error: a problem document (RFC 9457), or the gateway's own.

    `retry_after` is in seconds, 0 if the response has none. `members` are those of the document.
    """

    status: int
    type: str = "about:blank"
    retry_after: int = 0
    members: Json = field(default_factory=dict)


class Unreachable(Refused):
    """The gateway did not answer in time. What was asked for may have been done."""

    def __init__(self) -> None:
        super().__init__(503)


class Api:
    """Calls as one shopper.

    `http`: has the gateway's address and the time limit.
    `forwarded`: headers that say where the shopper's request came from. The gateway believes them if the
    storefront is one of its trusted proxies.
    `answers`: keeps what the API answers to everybody alike, which is asked for without the token.
    Every call raises `Refused`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        token: str | None,
        forwarded: Mapping[str, str],
        answers: Answers,
    ) -> None:
        self._http = http
        self._answers = answers
        self.token = token
        self._forwarded = forwarded

    async def categories(self) -> list[Json]:
        """With the number of products of each; none while product does not have the endpoint."""
        try:
            found = await self._catalogue("/v1/categories")
        except Refused as refused:
            if refused.status == 404:
                return []
            raise
        return list(found["items"])

    async def products(self, query: Query) -> Json:
        return await self._catalogue("/v1/products", query)

    async def facets(self, query: Query) -> Json | None:
        """How many products each filter would list; None while that cannot be counted: a list is a list
        without."""
        try:
            return await self._catalogue("/v1/products/facets", query)
        except Refused:
            return None

    async def product(self, sku: str) -> Json:
        return await self._catalogue(f"/v1/products/{segment(sku)}")

    async def products_of(self, skus: Sequence[str]) -> dict[str, Json]:
        """The products by sku; unknown ones are left out."""
        if not skus:
            return {}
        found = await self.products([("sku", sku) for sku in skus])
        return {product["sku"]: product for product in found["items"]}

    async def become_guest(self) -> Json:
        return await self._call("POST", "/v1/guests")

    async def cart(self) -> Json:
        return await self._call("GET", "/v1/cart")

    async def cart_lines(self) -> Json:
        """Products and quantities only."""
        return await self._call("GET", "/v1/cart/lines")

    async def pieces_in_cart(self) -> int:
        return sum(line["quantity"] for line in (await self.cart_lines())["items"])

    async def add(self, sku: str, quantity: int, key: str) -> None:
        """Adds pieces once for each key."""
        line = {"sku": sku, "quantity": quantity}
        await self._call("POST", "/v1/cart/items", json=line, headers={"Idempotency-Key": key})

    async def put(self, sku: str, quantity: int, *, version: int) -> None:
        """Sets a line's quantity, if the cart has this version: 412 otherwise."""
        path, headers = f"/v1/cart/items/{segment(sku)}", {"If-Match": f'"{version}"'}
        await self._call("PUT", path, json={"quantity": quantity}, headers=headers)

    async def remove(self, sku: str, *, version: int) -> None:
        """Removes a line, if the cart has this version: 412 otherwise."""
        path, headers = f"/v1/cart/items/{segment(sku)}", {"If-Match": f'"{version}"'}
        await self._call("DELETE", path, headers=headers)

    async def place_order(self, order: Json, key: str) -> Json:
        return await self._call("POST", "/v1/orders", json=order, headers={"Idempotency-Key": key})

    async def orders(self, query: Query) -> Json:
        return await self._call("GET", "/v1/orders", params=query)

    async def order(self, order: str) -> Json:
        return await self._call("GET", f"/v1/orders/{segment(order)}")

    async def timeline(self, order: str) -> list[Json]:
        found = await self._call("GET", f"/v1/orders/{segment(order)}/timeline")
        return list(found["events"])

    async def event_stream(self, order: str) -> str:
        """The path of the order's event stream, with a ticket that opens it for some seconds."""
        found = await self._call("POST", f"/v1/orders/{segment(order)}/events/ticket")
        return str(found["events"])

    async def cancel(self, order: str) -> None:
        await self._call("POST", f"/v1/orders/{segment(order)}/cancel")

    async def _catalogue(self, path: str, query: Query | None = None) -> Json:
        """What everybody is answered, kept as the API allows: nobody may change it."""
        url = f"{path}?{urlencode(query)}" if query else path
        kept = self._answers.find(url)
        if kept is not None and self._answers.is_fresh(kept):
            return kept.content
        headers = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        response = await self._send("GET", url, headers=headers)
        if kept is not None and response.status_code == NOT_MODIFIED:
            content = kept.content
        elif response.is_success:
            content = dict(response.json())
        else:
            raise _refusal(response)
        self._answers.keep(url, content, response.headers)
        return content

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        sent = dict(headers or {})
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        response = await self._send(method, path, params=params, json=json, headers=sent)
        if response.is_success:
            return dict(response.json()) if response.content else {}
        raise _refusal(response)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: Json | None = None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        sent = {**self._forwarded, **headers}
        try:
            return await self._http.request(method, path, params=params, json=json, headers=sent)
        except httpx.TransportError as error:
            raise Unreachable from error


def segment(text: str) -> str:
    """As one segment of a path: what a shopper typed cannot lead elsewhere. Raises `Refused` with 404 for a
    text that cannot be one."""
    if text in ("", ".", ".."):
        raise Refused(404)
    return quote(text, safe="")


def new_key() -> str:
    """A new idempotency key."""
    return uuid4().hex


def _refusal(response: httpx.Response) -> Refused:
    members: Json = {}
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        members = response.json()
    after = response.headers.get("retry-after", "")
    seconds = min(int(after), _LONGEST_WAIT) if after.isdecimal() else 0
    return Refused(response.status_code, members.get("type", "about:blank"), seconds, members)
