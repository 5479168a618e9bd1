"""Logs rejected access tokens, at a limited rate."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()
_MAX_KID = 64


@dataclass
class RejectedTokenLog:
    """Logs at most `most` rejections in `seconds`; the next line then has the number of those left out."""

    most: int = 60
    seconds: float = 60
    clock: Callable[[], float] = time.monotonic
    _since: float = float("-inf")
    _logged: int = 0
    _held_back: int = 0

    def record(self, reason: str, kid: object) -> None:
        """Log a rejection, without the token itself. `kid` is what the token claims, of any type."""
        if self.clock() >= self._since + self.seconds:
            self._since, self._logged = self.clock(), 0
        if self._logged >= self.most:
            self._held_back += 1
            return
        more = {"held_back": self._held_back} if self._held_back else {}
        self._logged, self._held_back = self._logged + 1, 0
        log.info("token refused", reason=reason, kid=_printable(kid), **more)


def _printable(kid: object) -> str:
    """As a short ASCII text."""
    return str(kid)[:_MAX_KID].encode("ascii", "backslashreplace").decode()
