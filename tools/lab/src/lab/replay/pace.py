"""While the gateway's limits slow a replay down, it says so, and how long it will take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SECONDS = 20.0  # between two notices
ADVICE = "`shop up --set gateway.RATE_FACTOR=20` raises them"


@dataclass
class Pace:
    """`total` steps are to be played; `limited` returns how many requests the gateway has turned away."""

    total: int
    limited: Callable[[], int]
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @asynccontextmanager
    async def watched(self, tell: Callable[[str], object], seconds: float = SECONDS) -> AsyncIterator[None]:
        """Meanwhile, tell after every period in which a limit was met."""
        watching = asyncio.create_task(self._watch(tell, seconds))
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self, tell: Callable[[str], object], seconds: float) -> None:
        before = self.limited()
        while True:
            await asyncio.sleep(seconds)
            if self.limited() > before:
                tell(self.notice(time.monotonic() - self.started))
            before = self.limited()

    def notice(self, seconds: float) -> str:
        """What to tell when so many seconds have passed."""
        left = "no invoice has ended yet"
        if self.done:
            left = f"about {_duration(seconds / self.done * (self.total - self.done))} left"
        return f"the gateway's rate limits slow this down ({self.done} of {self.total}, {left}): {ADVICE}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
