"""The public API, called through the gateway as the shopper, with the shopper's token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx

from storefront.answers import Answers
from storefront.renewals import Renewals
from storefront.session import Session, Tokens

Json = dict[str, Any]
Query = Mapping[str, str | int] | list[tuple[str, str | int | float | bool | None]]
_LONGEST_WAIT = 3600
NOT_MODIFIED, UNAUTHORIZED = 304, 401
_MOST_RENEWALS = 3  # what another request got may be over as well


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


class SessionOver(Refused):
    """Auth has refused to renew the access token: the account is to log in."""

    def __init__(self) -> None:
        super().__init__(401)


class Api:
    """Calls as one shopper, with the token of the session. One that is over is renewed first.

    `http`: has the gateway's address and the time limit.
    `forwarded`: headers that say where the shopper's request came from. The gateway believes them if the
    storefront is one of its trusted proxies.
    `answers`: keeps what the API answers to everybody alike, which is asked for without the token.
    Every call raises `Refused`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        session: Session,
        renewals: Renewals,
        answers: Answers,
        forwarded: Mapping[str, str],
    ) -> None:
        self._http = http
        self._session = session
        self._renewals = renewals
        self._answers = answers
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

    async def suggestions(self, typed: str) -> Json:
        return await self._catalogue("/v1/products/suggestions", {"q": typed})

    async def product(self, sku: str) -> Json:
        return await self._catalogue(f"/v1/products/{segment(sku)}")

    async def products_of(self, skus: Sequence[str]) -> dict[str, Json]:
        """The products by sku; unknown ones are left out."""
        if not skus:
            return {}
        found = await self.products([("sku", sku) for sku in skus])
        return {product["sku"]: product for product in found["items"]}

    async def become_guest(self) -> Json:
        return await self._call("POST", "/v1/guests", is_open=True)

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

    async def return_until(self, order: str) -> str | None:
        """Until when a return can be requested (RFC 3339); None if the order was not shipped."""
        found = await self._call("GET", f"/v1/orders/{segment(order)}/returns")
        until: str | None = found["until"]
        return until

    async def request_return(self, order: str, lines: Sequence[Json], key: str) -> None:
        """Requests it once for each key."""
        path = f"/v1/orders/{segment(order)}/returns"
        await self._call("POST", path, json={"lines": lines}, headers={"Idempotency-Key": key})

    async def withdraw_return(self, order: str, return_id: str) -> None:
        await self._call("POST", f"/v1/orders/{segment(order)}/returns/{segment(return_id)}/withdraw")

    async def _catalogue(self, path: str, query: Query | None = None) -> Json:
        """What everybody is answered, kept as the API allows: nobody may change it."""
        url = f"{path}?{urlencode(query)}" if query else path
        kept = self._answers.find(url)
        if kept is not None and self._answers.is_fresh(kept):
            return kept.content
        condition = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        request = self._http.build_request("GET", url, headers={**self._forwarded, **condition})
        response = await self._send(request)
        if kept is not None and response.status_code == NOT_MODIFIED:
            content = kept.content
        elif response.is_success:
            content = dict(response.json())
        else:
            raise _refusal(response)
        self._answers.keep(url, content, response.headers)
        return content

    async def register(self, email: str, password: str) -> None:
        await self._call("POST", "/v1/users", json={"email": email, "password": password}, is_open=True)

    async def log_in(self, email: str, password: str) -> Tokens:
        """The guest that the shopper is so far is merged into the account."""
        form = {"grant_type": "password", "username": email, "password": password}
        if self._session.is_current and not self._session.is_account:
            form["guest_token"] = str(self._session.token)
        return Tokens.of(await self._call("POST", "/v1/token", form=form, is_open=True))

    async def log_out(self) -> None:
        form = {"refresh_token": str(self._session.refresh_token)}
        await self._call("POST", "/v1/logout", form=form, is_open=True)

    async def log_out_everywhere(self) -> None:
        await self._call("POST", "/v1/users/me/logout")

    async def account(self) -> Json:
        return await self._call("GET", "/v1/users/me")

    async def addresses(self) -> list[Json]:
        """The account's, the default first."""
        return list((await self._call("GET", "/v1/users/me/addresses"))["items"])

    async def put_address(self, address_id: str, address: Json, *, is_default: bool) -> None:
        """Creates it, or replaces the one with this id."""
        body = {"address": address, "is_default": is_default}
        await self._call("PUT", f"/v1/users/me/addresses/{segment(address_id)}", json=body)

    async def remove_address(self, address_id: str) -> None:
        await self._call("DELETE", f"/v1/users/me/addresses/{segment(address_id)}")

    async def export(self) -> Json:
        return await self._call("GET", "/v1/users/me/export")

    async def change_password(self, present: str, password: str) -> None:
        """Ends all other sessions."""
        kept = self._session.refresh_token
        body = {"password": present, "new_password": password, "refresh_token": kept}
        await self._call("POST", "/v1/users/me/password", json=body)

    async def delete_account(self, password: str) -> None:
        await self._call("POST", "/v1/users/me/deletion", json={"password": password})

    async def request_confirmation(self) -> None:
        await self._call("POST", "/v1/users/me/confirmation")

    async def confirm_address(self, token: str) -> None:
        await self._call("POST", "/v1/email-confirmations", json={"token": token}, is_open=True)

    async def request_reset(self, email: str) -> None:
        await self._call("POST", "/v1/password-resets", json={"email": email}, is_open=True)

    async def reset_password(self, token: str, password: str) -> None:
        body = {"token": token, "password": password}
        await self._call("POST", "/v1/password-resets/complete", json=body, is_open=True)

    async def look_up(self, number: str, email: str) -> Json:
        body = {"number": number, "email": email}
        return await self._call("POST", "/v1/order-lookups", json=body, is_open=True)

    async def claim(self, token: str) -> Json:
        return await self._call("POST", "/v1/order-claims", json={"token": token})

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        json: Json | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        is_open: bool = False,
    ) -> Json:
        """`is_open`: the endpoint takes no token."""
        sent = {**self._forwarded, **(headers or {})}
        request = self._http.build_request(method, path, params=params, json=json, data=form, headers=sent)
        if not is_open:
            await self._authorize(request)
        response = await self._send(request)
        if response.status_code == UNAUTHORIZED and not is_open and self._session.is_account:
            # Refused before its time, after a change of auth's keys for example: nothing was done.
            self._session.token_until = 0
            await self._authorize(request)
            response = await self._send(request)
        if response.is_success:
            return dict(response.json() or {}) if response.content else {}  # 202 with `null`
        raise _refusal(response)

    async def _authorize(self, request: httpx.Request) -> None:
        """Renew the session's token if it is over, and send it with the request."""
        for _ in range(_MOST_RENEWALS):
            if self._session.is_fresh or not self._session.is_account:
                break
            refresh_token = str(self._session.refresh_token)
            self._session.renew(await self._renewals.once(refresh_token, self._renew))
        if self._session.token is not None:
            request.headers["Authorization"] = f"Bearer {self._session.token}"

    async def _renew(self, refresh_token: str) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        try:
            renewed = await self._call("POST", "/v1/token/refresh", form=form, is_open=True)
        except Refused as refused:
            if refused.type == "/problems/invalid-grant":
                raise SessionOver from refused
            raise
        return Tokens.of(renewed)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request)
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
