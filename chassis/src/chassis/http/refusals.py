"""Refused tokens are told to the log, and a flood of them does not become a flood of lines."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()
_LONGEST_KID = 64


@dataclass
class Refusals:
    """At most `most` lines in `seconds`; the next line after a pause says how many were held back."""

    most: int = 60
    seconds: float = 60
    clock: Callable[[], float] = time.monotonic
    _since: float = float("-inf")
    _told: int = 0
    _held_back: int = 0

    def tell(self, reason: str, kid: object) -> None:
        """The token itself is never told. `kid` is whatever the token claims."""
        if self.clock() >= self._since + self.seconds:
            self._since, self._told = self.clock(), 0
        if self._told >= self.most:
            self._held_back += 1
            return
        more = {"held_back": self._held_back} if self._held_back else {}
        self._told, self._held_back = self._told + 1, 0
        log.info("token refused", reason=reason, kid=_shown(kid), **more)


def _shown(kid: object) -> str:
    """In ASCII, whatever it is made of."""
    return str(kid)[:_LONGEST_KID].encode("ascii", "backslashreplace").decode()
