"""Steps played through the gateway: each sale is checked out and followed until its order has ended."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from contracts import CURRENCIES, format_amount
from lab.replay.customers import Customers
from lab.replay.plan import Return, Sale, Step
from lab.replay.turns import Played, Turns
from scenarios.shopper import Shopper, Unexpected, must

CURRENCY = CURRENCIES["GBP"]  # the data set's, and the catalogue's unless it is told otherwise
Outcome = Literal["paid", "cancelled", "skipped", "failed", "unended"]
_TROUBLE = (Unexpected, httpx.HTTPError, TimeoutError, ValueError, KeyError)


@dataclass(frozen=True)
class Result:
    """What came of an invoice; `unended` is an order of which nothing more was heard in time."""

    step: Step
    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    order_id: str | None = None
    seconds: float = 0


class Player:
    """`prices` are the catalogue's, `run` tells this replay's checkouts from another's, `patience` is how
    many seconds an order may take to end."""

    def __init__(self, customers: Customers, prices: Mapping[str, int], run: str, patience: float) -> None:
        self._customers = customers
        self._prices = prices
        self._run = run
        self._patience = patience
        self._results: dict[str, Result] = {}
        self._buyers: set[str | None] = set()
        self._unended: dict[str | None, str] = {}

    async def play_all(
        self, steps: Iterable[Played], at_once: int, tell: Callable[[Result], None]
    ) -> list[Result]:
        """As they come. Never more than `at_once` at a time."""
        turns = Turns(steps)
        running: set[asyncio.Task[Result]] = set()
        async with asyncio.TaskGroup() as group:
            while turns or running:
                while len(running) < at_once and (step := turns.take()):
                    running.add(group.create_task(self._play(step)))
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    turns.done(task.result().step.invoice)
                    tell(task.result())
        return list(self._results.values())

    async def _play(self, step: Played) -> Result:
        started = time.monotonic()
        try:
            made = await (self._sell(step) if isinstance(step, Sale) else self._take_back(step))
        except _TROUBLE as error:
            made = {"outcome": "failed", "reason": _words(error)}
        result = Result(step, **made, seconds=round(time.monotonic() - started, 3))
        self._results[step.invoice.number] = result
        return result

    async def _sell(self, sale: Sale) -> dict[str, Any]:
        invoice = sale.invoice
        if not CURRENCY.minimum <= (total := self._total(sale)) <= CURRENCY.maximum:
            reason = "comes to more or less than can be charged"
            return {"outcome": "skipped", "reason": reason, "detail": format_amount(total, CURRENCY.code)}
        if invoice.customer in self._unended:
            earlier = self._unended[invoice.customer]
            return {"outcome": "failed", "reason": "an earlier order has not ended", "detail": earlier}
        shopper = await self._customers.shopper(invoice.customer)
        if invoice.customer in self._buyers:  # what was bought leaves the cart a little later
            await shopper.until_cart_is_empty(self._patience)
            self._buyers.remove(invoice.customer)
        await shopper.fill_cart(invoice.pieces)
        key = f"replay-{self._run}-{invoice.number}"
        order_id = str(must(await shopper.try_check_out(key=key), 202)["order_id"])
        return await self._follow(sale, shopper, order_id)

    async def _follow(self, sale: Sale, shopper: Shopper, order_id: str) -> dict[str, Any]:
        customer = sale.invoice.customer
        try:
            order = await shopper.until_order(
                order_id, lambda one: one["status"] != "pending", self._patience
            )
        except TimeoutError:
            if customer is not None:
                self._unended[customer] = sale.invoice.number
            return self._late(order_id)
        if order["status"] == "paid" and customer is not None:
            self._buyers.add(customer)
        return {"order_id": order_id, **self._judge(sale, order)}

    def _total(self, sale: Sale) -> int:
        return sum(self._prices[sku] * count for sku, count in sale.invoice.pieces.items())

    def _judge(self, sale: Sale, order: dict[str, Any]) -> dict[str, Any]:
        expected = self._total(sale)
        if (came_to := order["total"]["amount"]) != expected:
            detail = f"{came_to} in place of {expected}"
            return {"outcome": "failed", "reason": "the order's total is not its lines'", "detail": detail}
        if order["status"] == "paid":
            return {"outcome": "paid"}
        short = (f"{one['sku']}: {one['wanted']} wanted, {one['available']} left" for one in order["short"])
        return {"outcome": "cancelled", "reason": order["reason"], "detail": "; ".join(short) or None}

    async def _take_back(self, step: Return) -> dict[str, Any]:
        sale = self._results[step.sale]
        if sale.outcome != "paid" or sale.order_id is None:
            reason = "the sale that it returns was not paid"
            return {"outcome": "skipped", "reason": reason, "detail": step.sale}
        shopper = await self._customers.shopper(step.invoice.customer)
        await shopper.cancel(sale.order_id)
        try:
            await shopper.until_order(sale.order_id, _all_is_back, self._patience)
        except TimeoutError:
            return self._late(sale.order_id)
        return {
            "outcome": "cancelled",
            "reason": "returned",
            "detail": step.sale,
            "order_id": sale.order_id,
        }

    def _late(self, order_id: str) -> dict[str, Any]:
        reason = f"the order has not ended within {self._patience:g} s"
        return {"outcome": "unended", "reason": reason, "order_id": order_id}


def _all_is_back(order: dict[str, Any]) -> bool:
    return bool(order["refunded_at"] and order["stock_released_at"])


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, Unexpected) else f"{type(error).__name__}: {error}".rstrip(": ")
