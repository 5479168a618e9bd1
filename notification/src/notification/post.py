"""Makes the calls that the saga intends: a letter goes out, or it is known why not.

There is no transaction around a mail. A receipt is stopped when the cancellation was committed before this
looks; one that is committed in the milliseconds between that and the server's answer comes too late, and the
shopper has both letters. A crash after the server took a letter and before that is noted sends it again,
with the same Message-ID; without a crash, a letter that was taken is remembered until it is noted.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from chassis.sealed import Seal
from chassis.tx import Intent
from notification.domain import Fate
from notification.letters import Letters
from notification.mime import is_mailbox

log = structlog.get_logger()

_REMEMBERED = 10_000


class Carrier(Protocol):
    """Takes letters to their readers."""

    async def send(self, recipient: str, message: bytes) -> Fate: ...


class KnownCancellations(Protocol):
    """Knows which orders are off."""

    async def include(self, order_id: UUID) -> bool: ...


def _now() -> datetime:
    return datetime.now(UTC)


class Post:
    """`keep_trying` bounds the retries: what could not be handed over for so long is news to nobody."""

    def __init__(
        self,
        letters: Letters,
        seal: Seal,
        cancellations: KnownCancellations,
        carrier: Carrier,
        *,
        keep_trying: timedelta,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._letters = letters
        self._seal = seal
        self._cancellations = cancellations
        self._carrier = carrier
        self._keep_trying = keep_trying
        self._clock = clock
        self._taken: OrderedDict[str, None] = OrderedDict()

    async def deliver(self, intent: Intent) -> Fate:
        """What became of the letter. Raises while that is unknown: NotSealed (another CONTACT_KEY is needed)
        and NotAccepted."""
        if intent.key in self._taken:
            return "sent"
        if intent.kind == "receipt" and await self._cancellations.include(intent.subject):
            return "stopped"
        if self._clock() - datetime.fromisoformat(intent.payload["written_at"]) > self._keep_trying:
            log.error("letter given up", reason=intent.kind)
            return "given_up"
        recipient = self._seal.open(intent.payload["contact"])
        if not is_mailbox(recipient):
            log.warning("letter rejected: the contact is no mail address", reason=intent.kind)
            return "rejected"
        fate = await self._carrier.send(recipient, self._letters.message(intent, recipient))
        if fate == "sent":
            self._remember(intent)
        return fate

    def _remember(self, intent: Intent) -> None:
        self._taken[intent.key] = None
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
