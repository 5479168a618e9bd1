"""Sends events to the webhook, signed as Stripe signs them, and retries until it responds with 2xx.

Events that were journalled and not delivered are sent again after a restart, so delivery is at least once and
unordered, as it is at the real provider.
"""

import asyncio
import hmac
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import aiohttp
import orjson
import pydantic.dataclasses
from pydantic import ConfigDict, Field

from standins.sandbox.render import event_json
from standins.sandbox.settings import Settings
from standins.sandbox.state import Change, Event, State

log = logging.getLogger("standins.sandbox")
LONGEST_BACKOFF = 60.0
LONGEST_PAUSE = 5.0
GATHER = 0.5
SETTLE = 0.1


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Delivery:
    """How events are sent: `copies` of each, shuffled in groups of `reorder`, `delay` seconds late. With 0
    copies they are lost for good."""

    copies: Annotated[int, Field(ge=0, le=10)] = 1
    reorder: Annotated[int, Field(ge=0, le=1000)] = 0
    delay: Annotated[float, Field(ge=0, le=600)] = 0.0
    seed: Annotated[int, Field(ge=0, le=2**63)] = 0


@dataclass(slots=True)
class Outgoing:
    event: Event
    change: Change
    copy: int
    attempts: int = 0


class WebhookSender:
    def __init__(self, settings: Settings, state: State, clock: Callable[[], float]) -> None:
        self._settings, self._state, self._clock = settings, state, clock
        self._secret = settings.webhook_secret.encode()
        self._queue: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._held: list[Outgoing] = []
        self._done: list[str] = []
        self._workers: list[asyncio.Task[None]] = []
        self._failures = 0
        self.travel(Delivery(**state.webhooks))

    def travel(self, delivery: Delivery) -> None:
        """Change how events are sent."""
        self.delivery, self._dice = delivery, random.Random(delivery.seed)

    def wants(self, kind: str) -> bool:
        return self._settings.webhook_url is not None and kind in self._settings.webhook_events

    def offer(self, event: Event, change: Change) -> None:
        if not self.delivery.copies:
            self._note(event)
            return
        self._held += [Outgoing(event, change, copy) for copy in range(self.delivery.copies)]
        if len(self._held) >= self.delivery.reorder:
            self._release()
        elif len(self._held) == self.delivery.copies:
            asyncio.get_running_loop().call_later(GATHER, self._release)

    def _release(self) -> None:
        outgoing, self._held = self._held, []
        if self.delivery.reorder:
            self._dice.shuffle(outgoing)
        if self.delivery.delay:
            asyncio.get_running_loop().call_later(self.delivery.delay, self._dispatch, outgoing)
        else:
            self._dispatch(outgoing)

    def _dispatch(self, outgoing: list[Outgoing]) -> None:
        for one in outgoing:
            self._queue.put_nowait(one)

    def start(self) -> None:
        if self._settings.webhook_url is None:
            return
        for event, change in self._state.pending.values():
            self._queue.put_nowait(Outgoing(event, change, copy=0))
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
            one = await self._queue.get()
            if one.copy == 0 and one.event.id not in self._state.pending:
                continue
            if await self._deliver(one):
                self._note(one.event)
            else:
                self._again(one)
            if self._failures:
                await asyncio.sleep(min(LONGEST_PAUSE, 0.1 * 2 ** min(self._failures, 10)))

    async def _deliver(self, one: Outgoing) -> bool:
        body = orjson.dumps(event_json(one.event, one.change))
        headers = {"content-type": "application/json", "stripe-signature": self._sign(body)}
        assert self._settings.webhook_url is not None
        try:
            async with self._session.post(self._settings.webhook_url, data=body, headers=headers) as response:
                self._failures = 0
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError) as problem:
            # The webhook is unreachable: all workers slow down, to save CPU time.
            self._failures += 1
            if self._failures == 1:
                log.warning("webhook %s: %s", self._settings.webhook_url, problem or type(problem).__name__)
            return False

    def _sign(self, body: bytes) -> str:
        stamp = int(self._clock())
        return f"t={stamp},v1={hmac.digest(self._secret, b'%d.%b' % (stamp, body), 'sha256').hex()}"

    def _again(self, one: Outgoing) -> None:
        one.attempts += 1
        if one.attempts >= self._settings.webhook_attempts:
            log.warning("webhook given up after %d attempts: %s", one.attempts, one.event.id)
            self._note(one.event)
            return
        backoff = min(LONGEST_BACKOFF, 2.0 ** (one.attempts - 1)) * random.uniform(0.5, 1)
        asyncio.get_running_loop().call_later(backoff, self._queue.put_nowait, one)

    def _note(self, event: Event) -> None:
        """Journals deliveries in batches; one that a crash loses is only sent twice."""
        self._done.append(event.id)
        if len(self._done) == 1:
            asyncio.get_running_loop().call_later(SETTLE, self._settle)

    def _settle(self) -> None:
        if self._done:
            done, self._done = self._done, []
            self._state.record("delivered", done)
