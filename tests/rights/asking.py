"""How each row of the table is asked for: a request that only a lack of rights can refuse."""

import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID, uuid4

import httpx
from stripe import WebhookSignature

from tests.rights.world import World, bearing

Wish = dict[str, Any]  # what httpx takes besides method and URL; `at` fills in the path
_ROUTE_WORDS = 2


def _address() -> str:
    return f"{uuid4().hex}@example.com"


def _nothing(_: World) -> Wish:
    return {}


def _new_account(_: World) -> Wish:
    return {"json": {"email": _address(), "password": uuid4().hex}}


def _login(world: World) -> Wish:
    return {"data": {"username": world.shopper.email, "password": world.shopper.password}}


def _wrong_login(_: World) -> Wish:
    return {"data": {"username": _address(), "password": "wrong horse"}}


def _session(world: World) -> Wish:
    return {"data": {"refresh_token": world.session()}}


def _used_session(world: World) -> Wish:
    """A refresh token whose successor was used, too: the grace is over."""
    used = {"refresh_token": world.session()}
    successor = world.ask("auth", "POST", "/v1/token/refresh", data=used)["refresh_token"]
    world.ask("auth", "POST", "/v1/token/refresh", data={"refresh_token": successor})
    return {"data": used}


def _same_password(world: World) -> Wish:
    return {"json": {"password": world.shopper.password, "new_password": world.shopper.password}}


def _from_anywhere() -> dict[str, str]:
    """Another network each time: how many mails one may ask for is limited."""
    return {"X-Forwarded-For": str(IPv6Address(uuid4().int))}


def _lamp() -> dict[str, Any]:
    return {"sku": uuid4().hex[:12], "name": "Lamp", "price": 100}


def _event(world: World, *, signed: bool = True) -> Wish:
    content = f'{{"id": "evt_{uuid4().hex}", "object": "event", "type": "customer.created"}}'
    secret = world.stack.secret("stripe-webhook-secret") if signed else "whsec_of_somebody_else"
    signature: str = WebhookSignature.generate_signature_header(content, secret, int(time.time()))
    return {"content": content, "headers": {"Stripe-Signature": signature}}


def _checkout(_: World) -> Wish:
    body = {"payment_method": "pm_card_visa", "email": "ada@example.com"}
    return {"json": body, "headers": {"Idempotency-Key": uuid4().hex}}


def _line(world: World) -> dict[str, Any]:
    return {"sku": world.sku, "quantity": 1}


def _addition(world: World) -> Wish:
    return {"json": _line(world), "headers": {"Idempotency-Key": uuid4().hex}}


def _look_up(world: World, number: str) -> Wish:
    return {"json": {"number": number, "email": world.shopper.email}}


def _watched(world: World, ticket_for: str) -> Wish:
    path = f"/v1/orders/{ticket_for}/events/ticket"
    issued = world.ask("order", "POST", path, world.shopper.token)
    return {"at": {"order": world.order}, "params": {"ticket": issued["ticket"]}}


def _return(world: World) -> Wish:
    at = {"order": world.fulfilled_order}
    return {"at": at, "json": {"lines": [_line(world)]}, "headers": {"Idempotency-Key": uuid4().hex}}


def _refund(world: World) -> Wish:
    body = {"reason": "it came late", "amount": 1}
    return {"at": {"order": world.fulfilled_order}, "json": body, "headers": {"Idempotency-Key": uuid4().hex}}


def _address_to_save(_: World) -> Wish:
    home = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}
    return {**_some_address(_), "json": {"address": home}}


def _some_address(_: World) -> Wish:
    return {"at": {"address_id": str(UUID(int=1))}}


_ORDER = "/v1/orders/{order}"
_RETURN = f"{_ORDER}/returns/{{return_id}}"
_ADDRESS = "/v1/users/me/addresses/{address_id}"
_PRODUCT = "/v1/products/{sku}"
_WISHES: Mapping[str, Callable[[World], Wish]] = {
    "POST /v1/users": _new_account,
    "POST /v1/token": _login,
    "POST /v1/token wrong password": _wrong_login,
    "POST /v1/token/refresh": _session,
    "POST /v1/token/refresh used before": _used_session,
    "POST /v1/logout": _session,
    f"PUT {_ADDRESS}": _address_to_save,
    f"DELETE {_ADDRESS}": _some_address,
    "POST /v1/users/me/deletion": lambda _: {"json": {"password": uuid4().hex}, "headers": _from_anywhere()},
    "POST /v1/users/me/password": _same_password,
    "POST /v1/users/me/confirmation": lambda _: {"headers": _from_anywhere()},
    "POST /v1/email-confirmations": lambda _: {"json": {"token": uuid4().hex}},
    "POST /v1/password-resets": lambda _: {"json": {"email": _address()}, "headers": _from_anywhere()},
    "POST /v1/password-resets/complete": lambda _: {"json": {"token": uuid4().hex, "password": uuid4().hex}},
    "GET /v1/products retired": lambda _: {"params": {"status": "retired"}},
    "GET /v1/products/suggestions": lambda _: {"params": {"q": "lam"}},
    f"GET {_PRODUCT}": lambda world: {"at": {"sku": world.sku}},
    "POST /v1/products": lambda _: {"json": _lamp()},
    "POST /v1/products/bulk": lambda _: {"json": {"items": [_lamp()]}},
    f"PATCH {_PRODUCT}": lambda world: {"at": {"sku": world.product()}, "json": {"price": 300}},
    f"DELETE {_PRODUCT}": lambda world: {"at": {"sku": world.product()}},
    f"POST {_PRODUCT}/stock": lambda world: {
        "at": {"sku": world.sku},
        "json": {"delta": 1, "reason": "found"},
    },
    f"GET {_PRODUCT}/stock": lambda world: {"at": {"sku": world.sku}},
    "PUT /v1/cart": lambda world: {"json": {"items": [_line(world)]}},
    "POST /v1/cart/items": _addition,
    "PUT /v1/cart/items/{sku}": lambda world: {"at": {"sku": world.sku}, "json": {"quantity": 1}},
    "DELETE /v1/cart/items/{sku}": lambda world: {"at": {"sku": world.sku}},
    "POST /v1/orders": _checkout,
    "GET /v1/orders of the shopper": lambda world: {"params": {"shopper_id": world.shopper.id}},
    "GET /v1/orders of a product": lambda world: {"params": {"sku": world.sku}},
    f"GET {_ORDER}": lambda world: {"at": {"order": world.order}},
    f"GET {_ORDER} by its number": lambda world: {"at": {"order": world.order_number}},
    f"GET {_ORDER} of nobody": lambda _: {"at": {"order": str(uuid4())}},
    f"POST {_ORDER}/cancel": lambda world: {"at": {"order": world.cancelled_order}},
    f"POST {_ORDER}/cancel for a reason": lambda world: {
        "at": {"order": world.cancelled_order},
        "json": {"reason": "sold out"},
    },
    f"POST {_ORDER}/fulfil": lambda world: {"at": {"order": world.fulfilled_order}},
    f"GET {_ORDER}/returns": lambda world: {"at": {"order": world.order}},
    f"POST {_ORDER}/returns": _return,
    f"POST {_RETURN}/receive": lambda world: {"at": world.new_return()},
    f"POST {_RETURN}/reject": lambda world: {"at": world.new_return(), "json": {"reason": "not sent"}},
    f"POST {_RETURN}/withdraw": lambda world: {"at": world.new_return()},
    f"POST {_ORDER}/refunds": _refund,
    f"POST {_ORDER}/refunds/{{refund_id}}/settle": lambda world: {
        "at": {"order": world.fulfilled_order, "refund_id": str(uuid4())},
        "json": {"reason": "by bank transfer"},
    },
    f"GET {_ORDER}/audit": lambda world: {"at": {"order": world.order}},
    f"GET {_ORDER}/timeline": lambda world: {"at": {"order": world.order}},
    f"GET {_ORDER}/events": lambda world: {"at": {"order": world.order}},
    f"GET {_ORDER}/events by ticket": lambda world: _watched(world, world.order),
    f"GET {_ORDER}/events by another's ticket": lambda world: _watched(world, world.cancelled_order),
    f"POST {_ORDER}/events/ticket": lambda world: {"at": {"order": world.order}},
    "POST /v1/order-claims": lambda world: {"json": {"token": world.claim_token}},
    "POST /v1/order-claims tampered": lambda world: {"json": {"token": f"{world.claim_token[:-2]}AA"}},
    "POST /v1/order-lookups": lambda world: _look_up(world, world.guests_order["number"]),
    "POST /v1/order-lookups of nobody": lambda world: _look_up(world, uuid4().hex[:10]),
    "POST /v1/webhooks/stripe": _event,
    "POST /v1/webhooks/stripe unsigned": lambda world: _event(world, signed=False),
}


def operation(row: str) -> str:
    """`GET /v1/orders of the shopper` is one way to ask for `GET /v1/orders`."""
    return " ".join(row.split(" ")[:_ROUTE_WORDS])


def answer(world: World, service: str, row: str, token: str | None) -> int:
    """The status of the response to this token."""
    method, path = operation(row).split(" ")
    wish = _WISHES.get(row, _nothing)(world)
    if row == "POST /v1/orders" and token is not None:
        world.try_to_fill_cart(token)
    url = world.stack.http(service) + path.format(**wish.pop("at", {}))
    headers = {**bearing(token), **wish.pop("headers", {})}
    request: httpx.Request = world.http.build_request(method, url, headers=headers, **wish)
    response = world.http.send(request, stream=True)  # an order is watched for as long as one likes
    response.close()
    return response.status_code
