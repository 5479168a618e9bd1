"""What happens to an order once it is accepted: its shopper goes to the bank, logs in, cancels or returns
goods; staff fulfil and refund; somebody acts at the provider."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from lab.chaos.history import Account, Checkout, Decision, History, ReturnRequest
from lab.chaos.staff import Provider, Staff
from lab.load import for_each
from scenarios.shopper import Shopper, Unexpected, must

LOG_IN = 0.05
ACTION_SECONDS = 60.0  # how long an action waits for the state that it needs
CONCURRENT = 8
ERRORS = (httpx.HTTPError, Unexpected, TimeoutError, ValueError, KeyError)
T = TypeVar("T")


@dataclass
class OrderActions:
    """`http` is a client of the shop. `over` ends all waiting for a state."""

    http: httpx.AsyncClient
    staff: Staff
    provider: Provider
    history: History
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, checkout: Checkout, rng: random.Random) -> None:
        """One action by chance. What has to come to something is in the history before it is requested."""
        if rng.random() < LOG_IN and not await succeeds(self._log_in_as_account(checkout)):
            return  # it is not known whose the order is now
        [action] = rng.choices(list(_ACTIONS), list(_ACTIONS.values()))
        doing = [action(self, checkout, rng)] if action else []
        if checkout.decision in ("complete", "fail"):
            doing.append(self._answer_the_bank(checkout, checkout.decision))
        await asyncio.gather(*map(succeeds, doing))

    async def resolve(self) -> None:
        """Repeat every request that was never answered."""
        await _for_each(self.history.accounts, self._log_in)
        unanswered = [one for one in self.history.returns if not one.is_answered]
        await _for_each(unanswered, self.staff.submit)
        await _for_each([one for one in self.history.returns if not one.is_due], self.staff.receive)

    async def read_accounts(self) -> None:
        """What every account lists in the end, and what its guest's token still lists."""
        await _for_each(self.history.accounts, self._read_account)

    async def _answer_the_bank(self, checkout: Checkout, decision: Decision) -> None:
        for order_id in checkout.order_ids:
            order = await self._until_order(
                checkout, order_id, lambda one: one["action"] or one["status"] != "pending"
            )
            if order["action"] is not None:
                page = order["action"]["url"]
                checkout.confirmed = await self.provider.press_bank_button(page, decision)

    async def _log_in_as_account(self, checkout: Checkout) -> None:
        """The guest's orders and cart are a new account's from now on."""
        account = Account(f"account-{uuid4().hex[:12]}@example.com", uuid4().hex, checkout.token)
        self.history.accounts.append(account)
        await self._log_in(account)
        checkout.account = account
        for order_id in checkout.order_ids:
            await self._unless_over(self._shopper(checkout).until_listed(order_id, ACTION_SECONDS))

    async def _log_in(self, account: Account) -> None:
        """Only the first login that is answered names the guest."""
        new = {"email": account.email, "password": account.password}
        form = {"username": account.email, "password": account.password}
        if account.token is None:
            must(await self.http.post("/v1/users", json=new), 201, 409)
            form["guest_token"] = account.guest_token
        account.token = must(await self.http.post("/v1/token", data=form), 200)["access_token"]

    async def _read_account(self, account: Account) -> None:
        owner = Shopper(self.http, account.token or "", account.email)
        cart, orders = await owner.cart(), await owner.orders()
        guests = await Shopper(self.http, account.guest_token, account.email).orders()
        account.cart, account.orders = cart, frozenset(one["order_id"] for one in orders)
        account.guests_orders = frozenset(one["order_id"] for one in guests)

    async def _cancel_soon(self, checkout: Checkout, rng: random.Random) -> None:
        await asyncio.sleep(rng.uniform(0, 2))
        await self._cancel(checkout)

    async def _cancel(self, checkout: Checkout) -> None:
        for order_id in checkout.order_ids:
            order = await self._shopper(checkout).cancel(order_id)
            checkout.cancelled_by_shopper = order["status"] == "cancelled"

    async def _return_goods(self, checkout: Checkout, rng: random.Random) -> None:
        """Some pieces of one product, once the order is fulfilled. Some shoppers try to cancel before."""
        order_id = await self._until_paid(checkout)
        await self.staff.fulfil(order_id)
        checkout.fulfilled = True
        if rng.random() < 0.2:
            headers = self._shopper(checkout).headers
            response = await self.http.post(f"/v1/orders/{order_id}/cancel", headers=headers)
            checkout.cancelled_by_shopper = response.status_code == 200
        sku = rng.choice(sorted(checkout.lines))
        line = {"sku": sku, "quantity": rng.randint(1, checkout.lines[sku])}
        one = ReturnRequest(f"chaos-{uuid4().hex}", order_id, "return", {"lines": [line]}, checkout)
        self.history.returns.append(one)
        submits = 2 if rng.random() < 0.3 else 1
        await asyncio.gather(*(succeeds(self.staff.submit(one)) for _ in range(submits)))
        await self.staff.receive(one)

    async def _refund_by_staff(self, checkout: Checkout, rng: random.Random) -> None:
        """All of the money, an amount, or a product that is restocked; what was free is not refunded."""
        order_id = await self._until_paid(checkout)
        order = await self._shopper(checkout).order(order_id)
        if total := order["total"]["amount"]:
            sku = rng.choice([line["sku"] for line in order["lines"] if line["unit_price"]])
            wanted: dict[str, Any] = rng.choice(
                [
                    {"whole": True},
                    {"amount": rng.randint(1, total)},
                    {"lines": [{"sku": sku, "quantity": 1}], "restock": True},
                ]
            )
            await self._refund(order_id, wanted, checkout)

    async def _refund(self, order_id: str, wanted: dict[str, Any], checkout: Checkout) -> None:
        body = {"reason": "It was broken", **wanted}
        one = ReturnRequest(f"chaos-{uuid4().hex}", order_id, "staff", body, checkout)
        self.history.returns.append(one)
        await self.staff.submit(one)

    async def _refund_at_the_provider(self, checkout: Checkout, rng: random.Random) -> None:
        """Up to half of the money in the dashboard; some shoppers cancel at that moment."""
        order_id = await self._until_paid(checkout)
        payment, captured = await self.provider.payment(order_id)
        if captured > 1:
            refund = self.provider.refund(order_id, payment, rng.randint(1, captured // 2))
            await self._perhaps_cancelling(refund, checkout, rng.random() < 0.4)

    async def _dispute(self, checkout: Checkout, rng: random.Random) -> None:
        """Some disputes are closed soon, and some shoppers cancel as well."""
        order_id = await self._until_paid(checkout)
        payment, captured = await self.provider.payment(order_id)
        if captured:
            dispute = self.provider.dispute(order_id, payment, rng.choice([None, "won", "lost"]))
            await self._perhaps_cancelling(dispute, checkout, rng.random() < 0.3)

    async def _perhaps_cancelling(self, action: Awaitable[None], checkout: Checkout, cancels: bool) -> None:
        await asyncio.gather(*map(succeeds, [action, self._cancel(checkout)] if cancels else [action]))

    async def _fail_refund(self, checkout: Checkout, rng: random.Random) -> None:
        """The refund of a cancelled order, or one by staff, fails after it was made."""
        order_id = await self._until_paid(checkout)
        payment, captured = await self.provider.payment(order_id)
        if not captured:
            return
        if rng.random() < 0.5:
            await self._cancel(checkout)
        else:
            await self._refund(order_id, {"amount": rng.randint(1, captured)}, checkout)
        await self._until_order(checkout, order_id, lambda one: one["refunded"]["amount"])
        await self.provider.fail_refund(order_id, payment)

    async def _until_paid(self, checkout: Checkout) -> str:
        """The checkout's order once it is paid. Raises TimeoutError unless that happens in time."""
        for order_id in checkout.order_ids:
            order = await self._until_order(checkout, order_id, lambda one: one["status"] != "pending")
            if order["status"] == "paid":
                return order_id
        raise TimeoutError("none was paid")

    async def _until_order(
        self, checkout: Checkout, order_id: str, holds: Callable[[dict[str, Any]], object]
    ) -> dict[str, Any]:
        """The order once the condition holds for it. Raises TimeoutError."""
        return await self._unless_over(self._shopper(checkout).until_order(order_id, holds, ACTION_SECONDS))

    async def _unless_over(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Raises TimeoutError once the run is over."""
        waited, over = asyncio.create_task(waiting), asyncio.create_task(self.over.wait())
        try:
            await asyncio.wait([waited, over], return_when=asyncio.FIRST_COMPLETED)
            if not waited.done():
                raise TimeoutError("the run is over")
            return waited.result()
        finally:
            waited.cancel()
            over.cancel()

    def _shopper(self, checkout: Checkout) -> Shopper:
        return Shopper(self.http, checkout.bearer, checkout.email)


async def succeeds(doing: Awaitable[None]) -> bool:
    """Whether it was done. What failed is repeated by `resolve`, or came to nothing."""
    try:
        await doing
    except ERRORS:
        return False
    return True


async def _for_each(items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    await for_each(items, lambda item: succeeds(act(item)), CONCURRENT)


# What happens to an accepted order, and how often of a hundred times.
_ACTIONS: dict[Callable[[OrderActions, Checkout, random.Random], Awaitable[None]] | None, int] = {
    None: 75,  # most shoppers do no more
    OrderActions._cancel_soon: 10,
    OrderActions._return_goods: 5,
    OrderActions._refund_by_staff: 3,
    OrderActions._refund_at_the_provider: 3,
    OrderActions._fail_refund: 2,
    OrderActions._dispute: 2,
}
