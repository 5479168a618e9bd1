"""A running shop with somebody of every role in it, and things of theirs to ask for."""

import json
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx
from joserfc.jwk import ECKey

from chassis.messaging.encryption import Tickets
from chassis.testing import Fault, TokenMint
from contracts import CLAIM_PURPOSE
from devstack import Stack
from shop.keys.verifiers import AUDIENCE, ISSUER
from shop.secrets import SIGNING_KEYS

WRONG = ("unscoped", *Fault)
_EVERY_SCOPE = (
    "account:read",
    "account:write",
    "catalogue:write",
    "orders:read-all",
    "orders:fulfil",
    "orders:refund",
)
_PAID_SECONDS = 60


@dataclass(frozen=True)
class Account:
    id: str
    email: str
    password: str
    token: str


class World:
    """Services are asked directly. What one may do only once is new each time that it is asked for."""

    def __init__(self, stack: Stack, http: httpx.Client) -> None:
        self.stack = stack
        self.http = http
        signer = ECKey.import_key(json.loads(stack.secret(SIGNING_KEYS))["keys"][0])
        self.mint = TokenMint(ISSUER, AUDIENCE, key=signer)

    def ask(self, service: str, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        """The answer's document; anything but success is an error of the test's own making."""
        headers = {**bearing(token), **more.pop("headers", {})}
        url = f"{self.stack.http(service)}{path}"
        answer = self.http.request(method, url, headers=headers, **more).raise_for_status()
        return answer.json() if answer.content else None

    def token(self, who: str) -> str | None:
        """Of a column of the table."""
        match who:
            case "anonymous":
                return None
            case "guest":
                return str(self.ask("auth", "POST", "/v1/guests")["access_token"])
            case "shopper":
                return self.shopper.token
            case "another":
                return self.another.token
            case "admin":
                return self.admin
            case "unscoped":
                return self._admins()
        return self._admins(*_EVERY_SCOPE, fault=Fault(who))

    def _admins(self, *scopes: str, fault: Fault | None = None) -> str:
        """Signed with the shop's own key, with the shopper for an administrator, as auth never would."""
        return self.mint.token(self.shopper.id, *scopes, fault=fault, role="admin", email="ada@example.com")

    @cached_property
    def shopper(self) -> Account:
        return self._registered()

    @cached_property
    def another(self) -> Account:
        return self._registered()

    @cached_property
    def admin(self) -> str:
        return str(
            self.logged_in(self.stack.admin_email, self.stack.secret("admin-password"))["access_token"]
        )

    def logged_in(self, email: str, password: str) -> Any:
        return self.ask("auth", "POST", "/v1/token", data={"username": email, "password": password})

    def session(self) -> str:
        """A refresh token of the shopper's."""
        return str(self.logged_in(self.shopper.email, self.shopper.password)["refresh_token"])

    @cached_property
    def sku(self) -> str:
        """Of a product with plenty in stock."""
        return self.product()

    def product(self) -> str:
        sku = uuid4().hex[:12]
        new = {"sku": sku, "name": "Lantern", "price": 250, "stock": 1000}
        self.ask("product", "POST", "/v1/products", self.admin, json=new)
        return sku

    def try_to_fill_cart(self, token: str, sku: str | None = None, pieces: int = 1) -> int:
        """With the token of somebody who may be nobody. Each time it is another cart, and may be ordered."""
        items = {"items": [{"sku": sku or self.product(), "quantity": pieces}]}
        url = f"{self.stack.http('cart')}/v1/cart"
        return self.http.put(url, json=items, headers=bearing(token)).status_code

    @cached_property
    def order(self) -> str:
        """The shopper's, and paid: what is read of it does not change any more."""
        return self._paid()

    @cached_property
    def fulfilled_order(self) -> str:
        """The shopper's, of many pieces: some of it goes back each time that somebody may ask for it."""
        order_id = self._paid(self.sku, 100)
        self.ask("order", "POST", f"/v1/orders/{order_id}/fulfil", self.admin)
        return order_id

    def new_return(self) -> dict[str, str]:
        """A piece of that order that is to come back."""
        order_id, wanted = self.fulfilled_order, {"lines": [{"sku": self.sku, "quantity": 1}]}
        key, path = {"Idempotency-Key": uuid4().hex}, f"/v1/orders/{order_id}/returns"
        one = self.ask("order", "POST", path, self.shopper.token, headers=key, json=wanted)
        return {"order": order_id, "return_id": one["return_id"]}

    @cached_property
    def order_number(self) -> str:
        """That order's number."""
        return str(self.ask("order", "GET", f"/v1/orders/{self.order}", self.shopper.token)["number"])

    @cached_property
    def cancelled_order(self) -> str:
        """The shopper's, for anybody to try and cancel: twice is as once."""
        return self._placed()

    @cached_property
    def guests_order(self) -> Any:
        """The answer to a guest's checkout with the shopper's address."""
        token = self.token("guest")
        assert token is not None
        return self._check_out(token, email=self.shopper.email)

    @cached_property
    def claim_token(self) -> str:
        """As the receipt of the guest's order has it."""
        tickets = Tickets([self.stack.secret("contact-key")], CLAIM_PURPOSE)
        return tickets.issue({"order_id": self.guests_order["order_id"]}, time.time() + 3600)

    def _paid(self, sku: str | None = None, pieces: int = 1) -> str:
        order_id = str(self._check_out(self.shopper.token, sku, pieces)["order_id"])
        deadline = time.monotonic() + _PAID_SECONDS
        while self.ask("order", "GET", f"/v1/orders/{order_id}", self.shopper.token)["status"] != "paid":
            assert time.monotonic() < deadline, "the order is not paid"
            time.sleep(0.1)
        return order_id

    def _placed(self) -> str:
        return str(self._check_out(self.shopper.token)["order_id"])

    def _check_out(self, token: str, sku: str | None = None, pieces: int = 1, **more: Any) -> Any:
        assert self.try_to_fill_cart(token, sku, pieces) == 200
        key = {"Idempotency-Key": uuid4().hex}
        wanted = {"payment_method": "pm_card_visa", **more}
        return self.ask("order", "POST", "/v1/orders", token, headers=key, json=wanted)

    def _registered(self) -> Account:
        email, password = f"{uuid4().hex}@example.com", uuid4().hex
        user = self.ask("auth", "POST", "/v1/users", json={"email": email, "password": password})
        return Account(user["id"], email, password, self.logged_in(email, password)["access_token"])


def bearing(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
