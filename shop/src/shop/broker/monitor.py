"""Checks the broker at the shop's start and every minute; its log and its health check raise the alarm."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from shop.broker.checking import BrokerIssue, Figures, dead_letters, unreachable
from shop.errors import ShopError

logging.getLogger("httpx").setLevel(logging.WARNING)
log = structlog.get_logger()

Check = Callable[[], Awaitable[tuple[list[BrokerIssue], Figures]]]


class Monitor:
    """`interval` is seconds from one check to the next while all is well, `recheck` while it is not."""

    def __init__(self, check: Check, *, interval: float, recheck: float) -> None:
        self._check = check
        self._interval = interval
        self._recheck = recheck
        self._dead: Mapping[str, int] | None = None
        self._checked_at: float | None = None
        self.issues: Sequence[BrokerIssue] = ()

    @property
    def is_well(self) -> bool:
        """Whether the last check found nothing, and was not long ago."""
        stale = self._checked_at is None or time.monotonic() - self._checked_at > 3 * self._interval
        return not self.issues and not stale

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(self._recheck if self.issues else self._interval)

    async def check(self) -> None:
        """Once. Each issue is logged at every check, and its end once."""
        before = self.issues
        try:
            issues, figures = await self._check()
        except ShopError as error:
            self.issues = [unreachable(error)]
        else:
            self.issues = issues
            self._note_growth(dead_letters(figures))
        self._checked_at = time.monotonic()
        for issue in self.issues:
            log.error("broker issue", **asdict(issue))
        if before and not self.issues:
            log.info("broker well again", after=[issue.kind for issue in before])

    def _note_growth(self, dead: Mapping[str, int]) -> None:
        """Dead letters are for an operator to see and no fault of the broker's: they change no health."""
        if self._dead is not None:
            for queue, count in dead.items():
                if count > self._dead.get(queue, 0):
                    log.error("dead letters grew", queue=queue, count=count, before=self._dead.get(queue, 0))
        self._dead = dead


def app(monitor: Monitor) -> Starlette:
    """`/healthz`: the program answers. `/readyz`: the broker is as it should be, or what is wrong with it."""

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> JSONResponse:
        found = [asdict(issue) for issue in monitor.issues]
        return JSONResponse({"issues": found}, status_code=200 if monitor.is_well else 503)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])
