"""The customers of the invoices as shoppers: an account each, kept over their invoices; guests are new."""

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
    """`secret` makes their passwords, so that a later replay of the same shop can log in again."""

    def __init__(self, http: httpx.AsyncClient, secret: str) -> None:
        self._http = http
        self._secret = secret.encode()
        self._known: dict[str, _LoggedIn] = {}

    async def shopper(self, customer: str | None) -> Shopper:
        """Raises Unexpected. To be asked for one customer at a time."""
        if customer is None:
            return await Shopper.guest(self._http)
        if customer not in self._known:
            await self._register(customer)
            self._known[customer] = await self._log_in(customer)
        elif time.monotonic() >= self._known[customer].until:
            self._known[customer] = await self._log_in(customer)
        return self._known[customer].shopper

    async def _register(self, customer: str) -> None:
        account = {"email": _address(customer), "password": self._password(customer)}
        must(await self._http.post("/v1/users", json=account), 201, 409)

    async def _log_in(self, customer: str) -> _LoggedIn:
        form = {"username": _address(customer), "password": self._password(customer)}
        answer = must(await self._http.post("/v1/token", data=form), 200)
        shopper = Shopper(self._http, answer["access_token"], _address(customer))
        return _LoggedIn(shopper, time.monotonic() + answer["expires_in"] / 2)

    def _password(self, customer: str) -> str:
        return hmac.new(self._secret, customer.encode(), hashlib.sha256).hexdigest()


def _address(customer: str) -> str:
    return f"customer-{customer}@example.com"
