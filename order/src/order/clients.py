"""Clients for other services: the shopper's cart, and the current prices of products."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from chassis.errors import Unavailable
from chassis.outbound import REQUEST_ERRORS, ServiceClient
from chassis.telemetry.logs import without_trace
from order.pricing import Cart, Offer, Wanted
from order.settings import Settings

ReadOffers = Callable[[Sequence[str]], Awaitable[Mapping[str, Offer]]]


async def read_cart(cart: ServiceClient, token: str) -> Cart:
    """The cart of the token's shopper. Raises Unavailable, TokenRejected."""
    document = (await cart.get_json("/v1/cart/lines", token=token)).json()
    lines = [Wanted(line["sku"], line["quantity"]) for line in document["items"]]
    ids, bought = (tuple(UUID(one) for one in document.get(name, ())) for name in ("ids", "bought"))
    return Cart(lines, ids, bought)


async def read_offers(product: ServiceClient, skus: Sequence[str]) -> dict[str, Offer]:
    """Those of the products that are for sale, with their prices. Raises Unavailable, RequestRejected."""
    answer = await product.get_json("/v1/products", params={"sku": skus})
    return {
        one["sku"]: Offer(one["sku"], one["name"], one["price"], one["currency"])
        for one in answer.json()["items"]
        if one["status"] == "active"
    }


class _Batch:
    """One read of several products, pending or running, and its result for all who wait for it."""

    def __init__(self) -> None:
        self.skus: set[str] = set()
        self.waiting = 0
        self.result: asyncio.Future[Mapping[str, Offer] | Exception] = asyncio.Future()


class OfferLoader:
    """A dataloader: checkouts that ask for prices while a read is running share the next one.

    Nothing is cached: a price is never older than the request for it. An idle loader waits for
    `price_linger` before it reads. One read has at most `prices_per_call` products, which also limits the
    URL's length, as a sku has at most 32 bytes in it.

    No cart affects another shopper's checkout: a request for more than `prices_shared` products is read
    alone, so that nobody else waits for it; a shared read that is rejected is repeated alone for each of its
    requests; a cancelled request does not disturb the others.
    """

    def __init__(self, settings: Settings, read: ReadOffers) -> None:
        self._read = read
        self._batch_window = settings.price_linger
        self._per_call = settings.prices_per_call
        self._shared = min(settings.prices_shared, settings.prices_per_call)
        self._next: list[_Batch] = []
        self._task: asyncio.Task[None] | None = None

    async def load(self, skus: Sequence[str]) -> Mapping[str, Offer]:
        """Those of the products that are for sale. Raises what the read raised."""
        if not skus:
            return {}
        if len(skus) > self._shared:
            return await self._read_alone(skus)
        batch = self._join(skus)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=without_trace())
        result = await asyncio.shield(batch.result)
        if isinstance(result, REQUEST_ERRORS) and batch.waiting > 1:
            return await self._read_alone(skus)
        if isinstance(result, Exception):
            raise result.with_traceback(None)
        return {sku: result[sku] for sku in skus if sku in result}

    async def aclose(self) -> None:
        """Stop reading; pending requests raise Unavailable."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _read_alone(self, skus: Sequence[str]) -> Mapping[str, Offer]:
        found: dict[str, Offer] = {}
        for start in range(0, len(skus), self._per_call):
            found |= await self._read(skus[start : start + self._per_call])
        return found

    def _join(self, skus: Sequence[str]) -> _Batch:
        """The first batch that has room for all of them."""
        for batch in self._next:
            if len(batch.skus.union(skus)) <= self._per_call:
                break
        else:
            batch = _Batch()
            self._next.append(batch)
        batch.skus.update(skus)
        batch.waiting += 1
        return batch

    async def _run(self) -> None:
        batches: list[_Batch] = []
        try:
            await asyncio.sleep(self._batch_window)
            while self._next:
                batches, self._next = self._next, []
                await asyncio.gather(*map(self._read_batch, batches))
        finally:
            for batch in (*batches, *self._next):
                if not batch.result.done():
                    batch.result.set_result(Unavailable("Server is shutting down."))
            self._task = None
            self._next = []

    async def _read_batch(self, batch: _Batch) -> None:
        try:
            batch.result.set_result(await self._read(sorted(batch.skus)))
        except Exception as error:
            batch.result.set_result(error)
