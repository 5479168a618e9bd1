"""What order reads of its neighbours: the shopper's cart, and what products cost at this moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from chassis.errors import Unavailable
from chassis.outbound.service_client import REQUEST_ERRORS, ServiceClient
from chassis.telemetry.logs import without_trace
from order.pricing import Cart, Offer, Wanted

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, Offer]]]


class Carts:
    """The carts, read from cart with the shopper's own token."""

    def __init__(self, cart: ServiceClient) -> None:
        self._cart = cart

    async def read(self, token: str) -> Cart:
        """The caller's cart. Raises Unavailable, and TokenRejected when cart says so."""
        told = (await self._cart.get_json("/v1/cart/lines", token=token)).json()
        lines = [Wanted(line["sku"], line["quantity"]) for line in told["items"]]
        ids, bought = (tuple(UUID(one) for one in told.get(name, ())) for name in ("ids", "bought"))
        return Cart(lines, ids, bought)


async def read_offers(product: ServiceClient, skus: Sequence[str]) -> dict[str, Offer]:
    """What product sells of these, at its prices; what it does not sell is left out. Raises Unavailable,
    RequestRejected."""
    answer = await product.get_json("/v1/products", params={"sku": skus})
    return {
        one["sku"]: Offer(one["sku"], one["name"], one["price"], one["currency"])
        for one in answer.json()["items"]
        if one["status"] == "active"
    }


class _Call:
    """One read on its way, or about to be: who waits for it gets what became of it."""

    def __init__(self) -> None:
        self.skus: set[str] = set()
        self.waiting = 0
        self.ended: asyncio.Future[Mapping[str, Offer] | Exception] = asyncio.Future()


class Offers:
    """Prices for many checkouts at once: whoever asks while a read is under way shares the next one.

    Nothing is kept: a price is never older than the question. An idle loader waits `linger` seconds for
    company; one read asks for at most `per_call` products, which bounds its URL too, as no sku has more than
    32 bytes there. Nobody's cart decides another's checkout: who asks for more than `shared` products
    reads alone, so that no other waits for them; a shared read that is refused is made again for each who
    waited for it; a checkout that is cancelled leaves the others undisturbed.
    """

    def __init__(self, read: Read, *, linger: float, per_call: int, shared: int) -> None:
        self._read = read
        self._linger = linger
        self._per_call = per_call
        self._shared = min(shared, per_call)
        self._next: list[_Call] = []
        self._task: asyncio.Task[None] | None = None

    async def load(self, skus: Sequence[str]) -> Mapping[str, Offer]:
        """Those of the products that are sold. Raises what the read raised."""
        if not skus:
            return {}
        if len(skus) > self._shared:
            return await self._read_alone(skus)
        call = self._join(skus)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=without_trace())
        ended = await asyncio.shield(call.ended)
        if isinstance(ended, REQUEST_ERRORS) and call.waiting > 1:
            return await self._read_alone(skus)
        if isinstance(ended, Exception):
            raise ended.with_traceback(None)
        return {sku: ended[sku] for sku in skus if sku in ended}

    async def aclose(self) -> None:
        """Stop reading; whoever still waits is told that there is no answer."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _read_alone(self, skus: Sequence[str]) -> Mapping[str, Offer]:
        found: dict[str, Offer] = {}
        for start in range(0, len(skus), self._per_call):
            found |= await self._read(skus[start : start + self._per_call])
        return found

    def _join(self, skus: Sequence[str]) -> _Call:
        """The first read that has room for all of them."""
        for call in self._next:
            if len(call.skus.union(skus)) <= self._per_call:
                break
        else:
            call = _Call()
            self._next.append(call)
        call.skus.update(skus)
        call.waiting += 1
        return call

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
