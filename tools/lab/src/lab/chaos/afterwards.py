"""What becomes of a checkout once it is accepted: its shopper goes to the bank, logs in, cancels, sends goods
back; staff fulfil and refund; somebody acts at the provider."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx

from devstack import Stack
from lab.chaos.dashboard import Dashboard
from lab.chaos.memory import Account, Checkout, GoesBack, Memory
from lab.chaos.staff import Staff, bearer
from scenarios.shopper import Shopper, Unexpected, must

LOG_IN = 0.05
AFTER_SECONDS = 60.0  # what has not happened by then is not waited for
TROUBLE = (httpx.HTTPError, Unexpected, TimeoutError, ValueError, KeyError)
T = TypeVar("T")


class Afterwards:
    """`http` leads to the shop, `outside` to the provider. `over` ends all waiting for what the shop has
    still to do."""

    def __init__(
        self,
        stack: Stack,
        memory: Memory,
        http: httpx.AsyncClient,
        outside: httpx.AsyncClient,
        over: asyncio.Event,
    ) -> None:
        self._stack = stack
        self._memory = memory
        self._http = http
        self._outside = outside
        self._staff = Staff(stack, http)
        self._dashboard = Dashboard(outside, stack.sandbox_url, memory)
        self._over = over

    async def go_on(self, checkout: Checkout, dice: random.Random) -> None:
        """Whatever is not answered is remembered as that, where it has to come to something."""
        if dice.random() < LOG_IN and not await _tried(self._become_account(checkout)):
            return  # it is not known whose the order is now
        [act] = dice.choices(list(_AFTER), list(_AFTER.values()))
        doing = [act(self, checkout, dice)]
        if checkout.decision in ("complete", "fail"):
            doing.append(self._answer_the_bank(checkout))
        await asyncio.gather(*map(_tried, doing))

    async def resolve(self) -> None:
        """Ask again for every answer that never came."""
        await self._every(self._memory.accounts, self.log_in)
        unanswered = [one for one in self._memory.going_back if not one.is_answered]
        await self._every(unanswered, self._staff.ask)
        await self._every([one for one in self._memory.going_back if not one.is_due], self._staff.receive)

    async def look(self) -> None:
        """What every account sees in the end, and what is still its guest's."""
        await self._every(self._memory.accounts, self._see)

    async def reprice(self, sku: str, price: int) -> None:
        """By staff, if they are answered."""
        await _tried(self._staff.reprice(sku, price))

    async def _every(self, items: Any, act: Callable[[Any], Awaitable[None]]) -> None:
        places = asyncio.Semaphore(8)

        async def one(item: Any) -> None:
            async with places:
                await _tried(act(item))

        await asyncio.gather(*map(one, list(items)))

    async def _nothing(self, checkout: Checkout, dice: random.Random) -> None:
        """Most shoppers do no more."""

    async def _answer_the_bank(self, checkout: Checkout) -> None:
        shopper = self._shopper(checkout)
        for order_id in checkout.order_ids:
            asked = await self._until_order(
                shopper, order_id, lambda one: one["action"] or one["status"] != "pending"
            )
            if asked["action"] is None:
                continue
            here, page = httpx.URL(self._stack.sandbox_url), httpx.URL(asked["action"]["url"])
            page = page.copy_with(scheme=here.scheme, host=here.host, port=here.port)
            pressed = await self._outside.post(page, data={"choice": checkout.decision})
            must(pressed, 303)
            status = parse_qs(urlsplit(pressed.headers["location"]).query)["redirect_status"]
            checkout.confirmed = status == ["succeeded"]

    async def _become_account(self, checkout: Checkout) -> None:
        """Its orders and its cart are the account's from now on."""
        account = Account(f"account-{uuid4().hex[:12]}@example.com", uuid4().hex, checkout.token)
        self._memory.accounts.append(account)
        await self.log_in(account)
        checkout.account = account
        mine = self._shopper(checkout)
        for order_id in checkout.order_ids:
            await self._unless_over(mine.until_listed(order_id, AFTER_SECONDS))

    async def log_in(self, account: Account) -> None:
        """Whoever has been answered is the guest no more, and does not say so again."""
        new = {"email": account.email, "password": account.password}
        form = {"username": account.email, "password": account.password}
        if account.token is None:
            must(await self._http.post("/v1/users", json=new), 201, 409)
            form["guest_token"] = account.guest_token
        account.token = must(await self._http.post("/v1/token", data=form), 200)["access_token"]

    async def _see(self, account: Account) -> None:
        mine = Shopper(self._http, account.token or "", account.email)
        cart, orders = await mine.cart(), await mine.orders()
        guests = await Shopper(self._http, account.guest_token, account.email).orders()
        account.cart, account.orders = cart, frozenset(one["order_id"] for one in orders)
        account.guests_orders = frozenset(one["order_id"] for one in guests)

    async def _cancel_soon(self, checkout: Checkout, dice: random.Random) -> None:
        await asyncio.sleep(dice.uniform(0, 2))
        await self._cancel(checkout)

    async def _cancel(self, checkout: Checkout) -> None:
        for order_id in checkout.order_ids:
            order = await self._shopper(checkout).cancel(order_id)
            checkout.cancelled_by_shopper = order["status"] == "cancelled"

    async def _send_back(self, checkout: Checkout, dice: random.Random) -> None:
        """A piece or more of one product, once the order has left. Some try to cancel instead."""
        order_id = await self._paid(checkout)
        await self._staff.fulfil(order_id)
        checkout.fulfilled = True
        if dice.random() < 0.2:
            refused = await self._http.post(f"/v1/orders/{order_id}/cancel", headers=bearer(checkout.bearer))
            checkout.cancelled_by_shopper = refused.status_code == 200
        sku = dice.choice(sorted(checkout.lines))
        line = {"sku": sku, "quantity": dice.randint(1, checkout.lines[sku])}
        one = GoesBack(f"chaos-{uuid4().hex}", order_id, "return", {"lines": [line]}, checkout)
        self._memory.going_back.append(one)
        presses = 2 if dice.random() < 0.3 else 1
        await asyncio.gather(*(_tried(self._staff.ask(one)) for _ in range(presses)))
        await self._staff.receive(one)

    async def _refund_by_staff(self, checkout: Checkout, dice: random.Random) -> None:
        """All of it, a part, or a product that goes back on the shelf; what was free is not refunded."""
        order_id = await self._paid(checkout)
        order = await self._shopper(checkout).order(order_id)
        total = order["total"]["amount"]
        if total:
            sku = dice.choice([line["sku"] for line in order["lines"] if line["unit_price"]])
            wanted: dict[str, Any] = dice.choice(
                [
                    {"whole": True},
                    {"amount": dice.randint(1, total)},
                    {"lines": [{"sku": sku, "quantity": 1}], "restock": True},
                ]
            )
            await self._grant(order_id, wanted, checkout)

    async def _grant(self, order_id: str, wanted: dict[str, Any], checkout: Checkout) -> GoesBack:
        body = {"reason": "It was broken", **wanted}
        one = GoesBack(f"chaos-{uuid4().hex}", order_id, "staff", body, checkout)
        self._memory.going_back.append(one)
        await self._staff.ask(one)
        return one

    async def _refund_at_the_provider(self, checkout: Checkout, dice: random.Random) -> None:
        """Somebody gives up to half of it back in the dashboard; some shoppers cancel at that moment."""
        order_id = await self._paid(checkout)
        payment, captured = await self._dashboard.payment(order_id)
        if captured > 1:
            doing = [self._dashboard.refund(order_id, payment, dice.randint(1, captured // 2))]
            if dice.random() < 0.4:
                doing.append(self._cancel(checkout))
            await asyncio.gather(*map(_tried, doing))

    async def _fail_a_refund(self, checkout: Checkout, dice: random.Random) -> None:
        """What went back for a cancelled order, or because staff said so, comes back to the shop."""
        order_id = await self._paid(checkout)
        payment, captured = await self._dashboard.payment(order_id)
        if not captured:
            return
        if dice.random() < 0.5:
            await self._cancel(checkout)
        else:
            await self._grant(order_id, {"amount": dice.randint(1, captured)}, checkout)
        await self._until_order(self._shopper(checkout), order_id, lambda one: one["refunded"]["amount"])
        await self._dashboard.fail_a_refund(order_id, payment)

    async def _dispute(self, checkout: Checkout, dice: random.Random) -> None:
        """Her bank wants the money; some disputes end soon, and some shoppers cancel as well."""
        order_id = await self._paid(checkout)
        payment, captured = await self._dashboard.payment(order_id)
        if captured:
            doing = [self._dashboard.dispute(order_id, payment, dice.choice([None, "won", "lost"]))]
            if dice.random() < 0.3:
                doing.append(self._cancel(checkout))
            await asyncio.gather(*map(_tried, doing))

    async def _paid(self, checkout: Checkout) -> str:
        """The order once it is paid. Raises TimeoutError when it does not come to that in time."""
        for order_id in checkout.order_ids:
            order = await self._until_order(
                self._shopper(checkout), order_id, lambda one: one["status"] != "pending"
            )
            if order["status"] == "paid":
                return order_id
        raise TimeoutError("none was paid")

    async def _until_order(
        self, shopper: Shopper, order_id: str, holds: Callable[[dict[str, Any]], object]
    ) -> dict[str, Any]:
        """The order once that holds of it. Raises TimeoutError."""
        return await self._unless_over(shopper.until_order(order_id, holds, AFTER_SECONDS))

    async def _unless_over(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Raises TimeoutError when nobody waits any more."""
        waited, over = asyncio.create_task(waiting), asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait([waited, over], return_when=asyncio.FIRST_COMPLETED)
            if not waited.done():
                raise TimeoutError("nobody waits any more")
            return waited.result()
        finally:
            waited.cancel()
            over.cancel()

    def _shopper(self, checkout: Checkout) -> Shopper:
        return Shopper(self._http, checkout.bearer, checkout.email)


async def _tried(doing: Awaitable[None]) -> bool:
    """Whether it was done. What was not is resolved later, or came to nothing."""
    try:
        await doing
    except TROUBLE:
        return False
    return True


# What happens to an accepted order, and how often of a hundred times.
_AFTER: dict[Callable[[Afterwards, Checkout, random.Random], Awaitable[None]], int] = {
    Afterwards._nothing: 75,
    Afterwards._cancel_soon: 10,
    Afterwards._send_back: 5,
    Afterwards._refund_by_staff: 3,
    Afterwards._refund_at_the_provider: 3,
    Afterwards._fail_a_refund: 2,
    Afterwards._dispute: 2,
}
