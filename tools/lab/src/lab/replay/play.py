"""Steps played through the gateway: each sale is checked out and followed until its order has ended."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from contracts import CURRENCIES, format_amount
from lab.replay.catalogue import Offer
from lab.replay.customers import Customers
from lab.replay.invoices import Invoice
from lab.replay.journal import Journal
from lab.replay.plan import Placed, Playable, Return, Sale, Skip, Step, StepQueue
from scenarios.shopper import Shopper, Unexpected, must

Outcome = Literal["paid", "cancelled", "placed_before", "skipped", "failed", "unended"]
_TROUBLE = (Unexpected, httpx.HTTPError, TimeoutError, ValueError, KeyError)


@dataclass(frozen=True)
class Result:
    """What came of an invoice; `placed_before` is one that an earlier replay has played, `unended` an order
    that did not end within the timeout."""

    step: Step
    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    order_id: str | None = None
    seconds: float = 0


class Player:
    """`offers` are the catalogue's, `journal` gets the orders, `run` is part of their idempotency keys,
    `timeout` is how many seconds an order may take to end."""

    def __init__(
        self,
        customers: Customers,
        offers: Mapping[str, Offer],
        journal: Journal,
        run: str,
        timeout: float,
    ) -> None:
        self._customers = customers
        self._offers = offers
        self._journal = journal
        self._run = run
        self._timeout = timeout
        self._paid: dict[str, str] = {}
        self._results: dict[str, Result] = {}
        self._buyers: set[str | None] = set()
        self._unended: dict[str | None, str] = {}

    async def play_all(
        self, steps: Sequence[Step], at_once: int, report: Callable[[Result], None]
    ) -> list[Result]:
        """Play the steps, `at_once` at a time; `report` gets the result of each that is played as it comes.
        Returns those of all, in the same sequence."""
        for known in steps:
            if isinstance(known, Skip | Placed):
                self._results[known.invoice.number] = _unplayed(known)
            if isinstance(known, Placed) and known.order.status == "paid":
                self._paid[known.invoice.number] = known.order.id
        queue = StepQueue(step for step in steps if isinstance(step, Playable))
        running: set[asyncio.Task[Result]] = set()
        async with asyncio.TaskGroup() as group:
            while queue or running:
                while len(running) < at_once and (step := queue.take()):
                    running.add(group.create_task(self._play(step)))
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    queue.done(task.result().step.invoice)
                    report(task.result())
        return [self._results[known.invoice.number] for known in steps]

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
        if refused := self._unchargeable(invoice):
            return {"outcome": "skipped", **refused}
        if invoice.customer in self._unended:
            earlier = self._unended[invoice.customer]
            return {"outcome": "failed", "reason": "an earlier order has not ended", "detail": earlier}
        shopper = await self._customers.shopper(invoice.customer)
        if invoice.customer in self._buyers:  # what was bought leaves the cart a little later
            await shopper.until_cart_is_empty(self._timeout)
            self._buyers.remove(invoice.customer)
        await shopper.fill_cart(invoice.pieces)
        key = f"replay-{self._run}-{invoice.fingerprint}"
        accepted = await shopper.try_check_out(key=key)
        order_id = str(must(accepted, 202)["order_id"])
        self._journal.placed(invoice, order_id)
        if (
            "idempotent-replayed" in accepted.headers
        ):  # ordered before a replay was killed; not from this cart
            await shopper.fill_cart({})
        return await self._follow(sale, shopper, order_id)

    def _unchargeable(self, invoice: Invoice) -> dict[str, str] | None:
        """Why the shop does not sell what the invoice does."""
        if unsold := [sku for sku in invoice.pieces if sku not in self._offers]:
            return {"reason": "the shop has retired what it sells", "detail": ", ".join(unsold)}
        currencies = {self._offers[sku].currency for sku in invoice.pieces}
        if len(currencies) > 1:
            return {
                "reason": "the shop sells it in several currencies",
                "detail": ", ".join(sorted(currencies)),
            }
        currency, total = CURRENCIES[currencies.pop()], self._total(invoice)
        if currency.minimum <= total <= currency.maximum:
            return None
        reason = "comes to more or less than can be charged"
        return {"reason": reason, "detail": format_amount(total, currency.code)}

    async def _follow(self, sale: Sale, shopper: Shopper, order_id: str) -> dict[str, Any]:
        invoice = sale.invoice
        try:
            order = await shopper.until_order(order_id, lambda one: one["status"] != "pending", self._timeout)
        except TimeoutError:
            if invoice.customer is not None:
                self._unended[invoice.customer] = invoice.number
            return self._unended_result(order_id)
        if order["status"] == "paid":
            self._paid[invoice.number] = order_id
            if invoice.customer is not None:
                self._buyers.add(invoice.customer)
        return {"order_id": order_id, **self._compared(invoice, order)}

    def _total(self, invoice: Invoice) -> int:
        return sum(self._offers[sku].price * count for sku, count in invoice.pieces.items())

    def _compared(self, invoice: Invoice, order: dict[str, Any]) -> dict[str, Any]:
        expected, total = self._total(invoice), order["total"]["amount"]
        if total != expected:
            detail = f"{total} in place of {expected}"
            return {"outcome": "failed", "reason": "the order's total is not its lines'", "detail": detail}
        if order["status"] == "paid":
            return {"outcome": "paid"}
        short = (f"{one['sku']}: {one['wanted']} wanted, {one['available']} left" for one in order["short"])
        return {"outcome": "cancelled", "reason": order["reason"], "detail": "; ".join(short) or None}

    async def _cancel(self, step: Return) -> dict[str, Any]:
        order_id = self._paid.get(step.sale)
        if order_id is None:
            reason = "the sale that it returns was not paid"
            return {"outcome": "skipped", "reason": reason, "detail": step.sale}
        shopper = await self._customers.shopper(step.invoice.customer)
        await shopper.cancel(order_id)
        try:
            await shopper.until_order(
                order_id, lambda one: one["refunded_at"] and one["stock_released_at"], self._timeout
            )
        except TimeoutError:
            return self._unended_result(order_id)
        return {"outcome": "cancelled", "reason": "returned", "detail": step.sale, "order_id": order_id}

    def _unended_result(self, order_id: str) -> dict[str, Any]:
        reason = f"the order has not ended within {self._timeout:g} s"
        return {"outcome": "unended", "reason": reason, "order_id": order_id}


def _unplayed(step: Skip | Placed) -> Result:
    if isinstance(step, Skip):
        return Result(step, "skipped", step.reason, step.detail)
    if step.order.status == "pending":
        return Result(step, "unended", "an earlier replay's order has not ended", order_id=step.order.id)
    return Result(step, "placed_before", step.order.status, order_id=step.order.id)


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, Unexpected) else f"{type(error).__name__}: {error}".rstrip(": ")
