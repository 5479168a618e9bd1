"""A fake shop behind an HTTP transport: orders end as their products' names say."""

import json
from collections import Counter, defaultdict
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import httpx

PRICE = 255


class SmallShop:
    """What is ordered with `SHORT` runs out, with `STUCK` never ends; `REFUSED` cannot be ordered, and an
    order with `DEAR` comes to more than its lines. What was bought stays in the cart until one looks."""

    def __init__(self) -> None:
        self.accounts: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.keys: list[str] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.sold: list[dict[str, int]] = []
        self.most_at_once = 0
        self._carts: dict[str, dict[str, int]] = defaultdict(dict)
        self._bought: set[str] = set()
        self._responses: dict[str, httpx.Response] = {}
        self._numbers = count(1)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url="http://shop", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        what = f"{request.method} {'/v1/orders/…' if path.startswith('/v1/orders/') else path}"
        self.requests[what] += 1
        who = request.headers.get("authorization", "")
        match what:
            case "POST /v1/users":
                return self._register(json.loads(request.content)["email"])
            case "POST /v1/token":
                return self._log_in(request.content)
            case "POST /v1/guests":
                return httpx.Response(201, json={"access_token": f"guest-{next(self._numbers)}"})
            case "PUT /v1/cart":
                items = json.loads(request.content)["items"]
                self._carts[who] = {one["sku"]: one["quantity"] for one in items}
                return httpx.Response(200, json={})
            case "GET /v1/cart/lines":
                return self._lines(who)
            case "POST /v1/orders":
                return self._order_once(who, request.headers["idempotency-key"])
        order_id = path.split("/")[3]
        if request.method == "POST":
            self.orders[order_id] |= {"refunded_at": "now", "stock_released_at": "now"}
        return self._look(order_id)

    def _register(self, email: str) -> httpx.Response:
        if email in self.accounts:
            return httpx.Response(409, json={"title": "There is an account with this address"})
        self.accounts.add(email)
        return httpx.Response(201, json={})

    def _log_in(self, form: bytes) -> httpx.Response:
        if parse_qs(form.decode())["username"][0] not in self.accounts:
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(200, json={"access_token": form.hex(), "expires_in": 900})

    def _lines(self, who: str) -> httpx.Response:
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in self._carts[who].items()]
        self._carts[who] = {} if who in self._bought else self._carts[who]
        self._bought.discard(who)
        return httpx.Response(200, json={"items": lines})

    def _order_once(self, who: str, key: str) -> httpx.Response:
        if key in self._responses:
            response = self._responses[key]
            return httpx.Response(202, content=response.content, headers={"Idempotent-Replayed": "true"})
        self.keys.append(key)
        response = self._order(who)
        if response.is_success:
            self._responses[key] = response
        return response

    def _order(self, who: str) -> httpx.Response:
        cart = self._carts[who]
        if "REFUSED" in cart:
            return httpx.Response(422, json={"detail": "The cart cannot be ordered"})
        order_id = str(next(self._numbers))
        self.sold.append(cart)
        self.orders[order_id] = {
            "status": "pending",
            "total": {"amount": PRICE * sum(cart.values()) + ("DEAR" in cart)},
            "reason": None,
            "short": [],
            "refunded_at": None,
            "stock_released_at": None,
            "_who": who,
            "_ends": None if "STUCK" in cart else "cancelled" if "SHORT" in cart else "paid",
        }
        pending = sum(order["status"] == "pending" for order in self.orders.values())
        self.most_at_once = max(self.most_at_once, pending)
        return httpx.Response(202, json={"order_id": order_id})

    def _look(self, order_id: str) -> httpx.Response:
        order = self.orders[order_id]
        if order["status"] == "pending" and order["_ends"]:
            order["status"] = order["_ends"]
            if order["status"] == "paid":
                self._bought.add(order["_who"])
            if order["status"] == "cancelled":
                short = [{"sku": "SHORT", "wanted": 6, "available": 2}]
                order |= {"reason": "out_of_stock", "short": short}
        return httpx.Response(200, json=order)
