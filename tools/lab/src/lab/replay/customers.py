"""The customers of the invoices as shoppers: one account for each, and a new guest where none is named."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass

import httpx

from scenarios.shopper import Shopper, must


@dataclass
class _LoggedIn:
    shopper: Shopper
    until: float


class Customers:
    """`secret` makes their passwords, so that a later replay of the same shop can log in again.

    Whether to register or to log in first is decided by how it went for the customer before: the shop limits
    how often one may register a taken address, or fail to log in.
    """

    def __init__(self, http: httpx.AsyncClient, secret: str) -> None:
        self._http = http
        self._secret = secret.encode()
        self._known: dict[str, _LoggedIn] = {}
        self._returning: bool | None = None
        self._first = asyncio.Lock()

    async def shopper(self, customer: str | None) -> Shopper:
        """The customer, logged in. Raises Unexpected. One call at a time for each customer."""
        if customer is None:
            return await Shopper.guest(self._http)
        if customer not in self._known:
            self._known[customer] = await self._register_or_log_in(customer)
        elif time.monotonic() >= self._known[customer].until:
            self._known[customer] = await self._log_in(customer)
        return self._known[customer].shopper

    async def _register_or_log_in(self, customer: str) -> _LoggedIn:
        if self._returning is None:
            async with self._first:
                if self._returning is None:
                    await self._register(customer)
                    return await self._log_in(customer)
        if self._returning:
            answer = await self._request_token(customer)
            if answer.status_code != 400:
                return self._logged_in(customer, answer)
        await self._register(customer)
        return await self._log_in(customer)

    async def _register(self, customer: str) -> None:
        account = {"email": _address(customer), "password": self._password(customer)}
        answer = await self._http.post("/v1/users", json=account)
        must(answer, 201, 409)
        self._returning = answer.status_code == 409

    async def _log_in(self, customer: str) -> _LoggedIn:
        return self._logged_in(customer, await self._request_token(customer))

    async def _request_token(self, customer: str) -> httpx.Response:
        form = {"username": _address(customer), "password": self._password(customer)}
        return await self._http.post("/v1/token", data=form)

    def _logged_in(self, customer: str, response: httpx.Response) -> _LoggedIn:
        answer = must(response, 200)
        shopper = Shopper(self._http, answer["access_token"], _address(customer))
        return _LoggedIn(shopper, time.monotonic() + answer["expires_in"] / 2)

    def _password(self, customer: str) -> str:
        return hmac.new(self._secret, customer.encode(), hashlib.sha256).hexdigest()


def _address(customer: str) -> str:
    return f"customer-{customer}@example.com"
