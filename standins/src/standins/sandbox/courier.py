"""Brings events to the webhook, signed as Stripe signs them, again and again until it answers 2xx.

What was journalled and not delivered is sent again after a restart, so delivery is at least once and
unordered, as it is at the real provider.
"""

import asyncio
import hmac
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import orjson

from standins.sandbox.book import Book
from standins.sandbox.change import Change, Event
from standins.sandbox.render import event_json
from standins.sandbox.settings import Settings

log = logging.getLogger("standins.sandbox")
LONGEST_BACKOFF = 60.0
LONGEST_PAUSE = 5.0
GATHER = 0.5
SETTLE = 0.1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How events travel: `copies` of each, shuffled among `reorder` at a time, `delay` seconds late. Without
    copies they are lost for good."""

    copies: int = 1
    reorder: int = 0
    delay: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class Parcel:
    event: Event
    change: Change
    copy: int
    attempts: int = 0


class Courier:
    def __init__(self, settings: Settings, book: Book, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._book, self._clock = settings, book, clock
        self._secret = settings.webhook_secret.encode()
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue()
        self._held: list[Parcel] = []
        self._done: list[str] = []
        self._workers: list[asyncio.Task[None]] = []
        self._failures = 0
        self.travel(Delivery(**book.webhooks))

    def travel(self, delivery: Delivery) -> None:
        """From now on events travel like this."""
        self.delivery, self._dice = delivery, random.Random(delivery.seed)

    def wants(self, kind: str) -> bool:
        return self._settings.webhook_url is not None and kind in self._settings.webhook_events

    def offer(self, event: Event, change: Change) -> None:
        if not self.delivery.copies:
            self._note(event)
            return
        self._held += [Parcel(event, change, copy) for copy in range(self.delivery.copies)]
        if len(self._held) >= self.delivery.reorder:
            self._release()
        elif len(self._held) == self.delivery.copies:
            asyncio.get_running_loop().call_later(GATHER, self._release)

    def _release(self) -> None:
        parcels, self._held = self._held, []
        if self.delivery.reorder:
            self._dice.shuffle(parcels)
        if self.delivery.delay:
            asyncio.get_running_loop().call_later(self.delivery.delay, self._dispatch, parcels)
        else:
            self._dispatch(parcels)

    def _dispatch(self, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            self._queue.put_nowait(parcel)

    def start(self) -> None:
        if self._settings.webhook_url is None:
            return
        for event, change in self._book.pending.values():
            self._queue.put_nowait(Parcel(event, change, copy=0))
        timeout = aiohttp.ClientTimeout(total=self._settings.webhook_timeout)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._settings.webhook_workers)]

    async def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._settle()
        if self._workers:
            await self._session.close()

    async def _work(self) -> None:
        while True:
            parcel = await self._queue.get()
            if parcel.copy == 0 and parcel.event.id not in self._book.pending:
                continue
            if await self._deliver(parcel):
                self._note(parcel.event)
            else:
                self._again(parcel)
            if self._failures:
                await asyncio.sleep(min(LONGEST_PAUSE, 0.1 * 2 ** min(self._failures, 10)))

    async def _deliver(self, parcel: Parcel) -> bool:
        body = orjson.dumps(event_json(parcel.event, parcel.change))
        headers = {"content-type": "application/json", "stripe-signature": self._sign(body)}
        assert self._settings.webhook_url is not None
        try:
            async with self._session.post(self._settings.webhook_url, data=body, headers=headers) as response:
                self._failures = 0
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError) as problem:
            # Nobody is there: all workers slow down, rather than burn the cores on a closed door.
            self._failures += 1
            if self._failures == 1:
                log.warning("webhook %s: %s", self._settings.webhook_url, problem or type(problem).__name__)
            return False

    def _sign(self, body: bytes) -> str:
        stamp = int(self._clock())
        return f"t={stamp},v1={hmac.digest(self._secret, b'%d.%b' % (stamp, body), 'sha256').hex()}"

    def _again(self, parcel: Parcel) -> None:
        parcel.attempts += 1
        if parcel.attempts >= self._settings.webhook_attempts:
            log.warning("webhook given up after %d attempts: %s", parcel.attempts, parcel.event.id)
            self._note(parcel.event)
            return
        backoff = min(LONGEST_BACKOFF, 2.0 ** (parcel.attempts - 1)) * random.uniform(0.5, 1)
        asyncio.get_running_loop().call_later(backoff, self._queue.put_nowait, parcel)

    def _note(self, event: Event) -> None:
        """Journals deliveries a handful at a time; one lost in a crash is only sent twice."""
        self._done.append(event.id)
        if len(self._done) == 1:
            asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def _settle(self) -> None:
        if self._done:
            done, self._done = self._done, []
            self._book.delivered(done)
