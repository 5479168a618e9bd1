"""Steps played through the gateway: each sale is checked out and followed until its order has ended."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from contracts import CURRENCIES, format_amount
from lab.replay.customers import Customers
from lab.replay.plan import Playable, Return, Sale, Step, StepQueue
from scenarios.shopper import Shopper, Unexpected, must

CURRENCY = CURRENCIES["GBP"]  # the data set's, and the catalogue's default
Outcome = Literal["paid", "cancelled", "skipped", "failed", "unended"]
_TROUBLE = (Unexpected, httpx.HTTPError, TimeoutError, ValueError, KeyError)


@dataclass(frozen=True)
class Result:
    """What came of an invoice; `unended` is an order that did not end within the timeout."""

    step: Step
    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    order_id: str | None = None
    seconds: float = 0


class Player:
    """`prices` are the catalogue's, `run` is part of this replay's idempotency keys, `timeout` is how many
    seconds an order may take to end."""

    def __init__(self, customers: Customers, prices: Mapping[str, int], run: str, timeout: float) -> None:
        self._customers = customers
        self._prices = prices
        self._run = run
        self._timeout = timeout
        self._results: dict[str, Result] = {}
        self._buyers: set[str | None] = set()
        self._unended: dict[str | None, str] = {}

    async def play_all(
        self, steps: Iterable[Playable], at_once: int, report: Callable[[Result], None]
    ) -> list[Result]:
        """Play the steps, `at_once` at a time; `report` gets each result as it comes."""
        queue = StepQueue(steps)
        running: set[asyncio.Task[Result]] = set()
        async with asyncio.TaskGroup() as group:
            while queue or running:
                while len(running) < at_once and (step := queue.take()):
                    running.add(group.create_task(self._play(step)))
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    queue.done(task.result().step.invoice)
                    report(task.result())
        return list(self._results.values())

    async def _play(self, step: Playable) -> Result:
        started = time.monotonic()
        try:
            made = await (self._sell(step) if isinstance(step, Sale) else self._cancel(step))
        except _TROUBLE as error:
            made = {"outcome": "failed", "reason": _message(error)}
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
            await shopper.until_cart_is_empty(self._timeout)
            self._buyers.remove(invoice.customer)
        await shopper.fill_cart(invoice.pieces)
        key = f"replay-{self._run}-{invoice.number}"
        order_id = str(must(await shopper.try_check_out(key=key), 202)["order_id"])
        return await self._follow(sale, shopper, order_id)

    async def _follow(self, sale: Sale, shopper: Shopper, order_id: str) -> dict[str, Any]:
        customer = sale.invoice.customer
        try:
            order = await shopper.until_order(order_id, lambda one: one["status"] != "pending", self._timeout)
        except TimeoutError:
            if customer is not None:
                self._unended[customer] = sale.invoice.number
            return self._unended_result(order_id)
        if order["status"] == "paid" and customer is not None:
            self._buyers.add(customer)
        return {"order_id": order_id, **self._compared(sale, order)}

    def _total(self, sale: Sale) -> int:
        return sum(self._prices[sku] * count for sku, count in sale.invoice.pieces.items())

    def _compared(self, sale: Sale, order: dict[str, Any]) -> dict[str, Any]:
        expected, total = self._total(sale), order["total"]["amount"]
        if total != expected:
            detail = f"{total} in place of {expected}"
            return {"outcome": "failed", "reason": "the order's total is not its lines'", "detail": detail}
        if order["status"] == "paid":
            return {"outcome": "paid"}
        short = (f"{one['sku']}: {one['wanted']} wanted, {one['available']} left" for one in order["short"])
        return {"outcome": "cancelled", "reason": order["reason"], "detail": "; ".join(short) or None}

    async def _cancel(self, step: Return) -> dict[str, Any]:
        sale = self._results[step.sale]
        if sale.outcome != "paid" or sale.order_id is None:
            reason = "the sale that it returns was not paid"
            return {"outcome": "skipped", "reason": reason, "detail": step.sale}
        shopper = await self._customers.shopper(step.invoice.customer)
        await shopper.cancel(sale.order_id)
        try:
            await shopper.until_order(
                sale.order_id, lambda one: one["refunded_at"] and one["stock_released_at"], self._timeout
            )
        except TimeoutError:
            return self._unended_result(sale.order_id)
        return {
            "outcome": "cancelled",
            "reason": "returned",
            "detail": step.sale,
            "order_id": sale.order_id,
        }

    def _unended_result(self, order_id: str) -> dict[str, Any]:
        reason = f"the order has not ended within {self._timeout:g} s"
        return {"outcome": "unended", "reason": reason, "order_id": order_id}


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, Unexpected) else f"{type(error).__name__}: {error}".rstrip(": ")
