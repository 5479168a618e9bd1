"""What order reads of its neighbours: the shopper's cart, and what products cost at this moment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from chassis.neighbour import Answer, Neighbour
from chassis.problems import Unauthenticated, Unavailable
from chassis.telemetry import without_trace
from order.domain import Offer, Wanted

log = structlog.get_logger()

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, Offer]]]


class Carts:
    """The carts, read from cart with the shopper's own token."""

    def __init__(self, cart: Neighbour) -> None:
        self._cart = cart

    async def lines(self, token: str) -> list[Wanted]:
        """The lines of the caller's cart. Raises Unavailable, and Unauthenticated when cart says so."""
        answer = await self._cart.get_json("/v1/cart/lines", token=token)
        if answer.status_code == 401:
            raise Unauthenticated("The token is not accepted any more.", error="invalid_token")
        return [Wanted(line["sku"], line["quantity"]) for line in _body(answer, "cart")["items"]]


async def read_offers(product: Neighbour, skus: Sequence[str]) -> dict[str, Offer]:
    """What product sells of these, at its prices; what it does not sell is left out. Raises Unavailable."""
    answer = await product.get_json("/v1/products", params={"sku": skus})
    return {
        one["sku"]: Offer(one["sku"], one["name"], one["price"], one["currency"])
        for one in _body(answer, "product")["items"]
        if one["status"] == "active"
    }


def _body(answer: Answer, name: str) -> Any:
    if answer.status_code != 200:
        log.error("a neighbour refused", neighbour=name, status=answer.status_code, body=answer.content[:300])
        raise Unavailable(f"{name} does not answer as expected.")
    return answer.json()


class _Call:
    """One read on its way, or about to be: who waits for it gets what became of it."""

    def __init__(self) -> None:
        self.skus: set[str] = set()
        self.ended: asyncio.Future[Mapping[str, Offer] | Exception] = asyncio.Future()


class Offers:
    """Prices for many checkouts at once: whoever asks while a read is under way shares the next one.

    Nothing is kept: a price is never older than the question. An idle loader waits `linger` seconds for
    company; one read asks for at most `per_call` products. A checkout that is cancelled leaves the others
    undisturbed, and a read that fails fails for those who waited for it, no others.
    """

    def __init__(self, read: Read, *, linger: float, per_call: int) -> None:
        self._read = read
        self._linger = linger
        self._per_call = per_call
        self._next: list[_Call] = []
        self._task: asyncio.Task[None] | None = None

    async def load(self, skus: Iterable[str]) -> dict[str, Offer]:
        """Those of the products that are sold. Raises what the read raised."""
        wanted = list(skus)
        calls = dict.fromkeys(map(self._join, wanted))
        if self._task is None and calls:
            self._task = asyncio.create_task(self._run(), context=without_trace())
        found: dict[str, Offer] = {}
        for call in calls:
            ended = await asyncio.shield(call.ended)
            if isinstance(ended, Exception):
                raise ended.with_traceback(None)
            found |= {sku: ended[sku] for sku in wanted if sku in ended}
        return found

    async def aclose(self) -> None:
        """Stop reading; whoever still waits is told that there is no answer."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _join(self, sku: str) -> _Call:
        for call in self._next:
            if sku in call.skus:
                return call
        if not self._next or len(self._next[-1].skus) >= self._per_call:
            self._next.append(_Call())
        self._next[-1].skus.add(sku)
        return self._next[-1]

    async def _run(self) -> None:
        calls: list[_Call] = []
        try:
            await asyncio.sleep(self._linger)
            while self._next:
                calls, self._next = self._next, []
                await asyncio.gather(*map(self._make, calls))
        finally:
            for call in (*calls, *self._next):
                if not call.ended.done():
                    call.ended.set_result(Unavailable("This server stops."))
            self._task = None
            self._next = []

    async def _make(self, call: _Call) -> None:
        try:
            call.ended.set_result(await self._read(sorted(call.skus)))
        except Exception as error:
            call.ended.set_result(error)
