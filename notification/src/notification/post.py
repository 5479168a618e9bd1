"""Makes the calls that the saga intends: a mail goes out once, or it is known why not.

There is no transaction around a mail. That it begins is committed just before it is handed over, with a last
look whether its order was cancelled; a cancellation that is committed in the milliseconds between that and
the server's answer comes too late, and the shopper has both mails. How it ended is committed as soon as the
server has answered. A mail that was begun and of which nobody knows how it ended, as after a crash, is in
doubt: it is not sent again, an operator decides.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from chassis.errors import Unavailable
from chassis.messaging.sealed import Seal
from chassis.saga.tx import Intent
from notification.domain import Outcome
from notification.letters import Letters
from notification.mime import is_mailbox
from notification.recipients import PutOff, Recipients
from notification.smtp import Begin, NotAccepted
from notification.store import HOUR, Answer

log = structlog.get_logger()

_REMEMBERED = 10_000


class Carrier(Protocol):
    """Takes letters to their readers."""

    async def send(self, recipient: str, message: bytes, begin: Begin) -> Outcome: ...


class Begins(Protocol):
    """Commits that a mail begins (see `notification.store.Beginnings`)."""

    async def begin(self, key: str, recipient: bytes) -> Answer: ...

    async def end(self, key: str, stamp: datetime, outcome: Outcome) -> None: ...

    async def withdraw(self, key: str, stamp: datetime) -> None: ...

    async def ended(self, key: str) -> Outcome | None: ...


def _mail(intent: Intent) -> tuple[str, str]:
    """What is sent again later has the key of what was sent before."""
    return intent.key, intent.payload["written_at"]


def _now() -> datetime:
    return datetime.now(UTC)


class Post:
    """`keep_trying` bounds the retries: what could not be handed over for so long is given up, and kept."""

    def __init__(
        self,
        letters: Letters,
        seal: Seal,
        recipients: Recipients,
        begins: Begins,
        carrier: Carrier,
        *,
        keep_trying: timedelta,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._letters = letters
        self._seal = seal
        self._recipients = recipients
        self._begins = begins
        self._carrier = carrier
        self._keep_trying = keep_trying
        self._clock = clock
        self._ended: OrderedDict[tuple[str, str], Outcome] = OrderedDict()

    async def deliver(self, intent: Intent) -> Outcome:
        """What became of the letter. Raises while that is unknown and the server does not have it: NotSealed
        (another CONTACT_KEY is needed), NotAccepted, PutOff, Unavailable."""
        if (ended := self._ended.get(_mail(intent))) is not None:
            return ended
        now = self._clock()
        if now - datetime.fromisoformat(intent.payload["written_at"]) > self._keep_trying:
            return await self._give_up(intent)
        recipient = self._seal.open(intent.payload["contact"])
        if not is_mailbox(recipient):
            log.warning("mail rejected: the contact is no mail address", reason=intent.kind)
            return Outcome("rejected", "the contact is no mail address")
        hashed = self._recipients.hash(recipient)
        self._recipients.refuse_put_off(hashed, now)
        return await self._send(intent, recipient, hashed)

    async def _give_up(self, intent: Intent) -> Outcome:
        if (known := await self._begins.ended(intent.key)) is not None:
            return known
        log.error("mail given up", reason=intent.kind)
        return Outcome("given_up", f"not handed over within {self._keep_trying}")

    async def _send(self, intent: Intent, recipient: str, hashed: bytes) -> Outcome:
        begun: Answer | None = None

        async def begin() -> Outcome | None:
            nonlocal begun
            answer = await self._begins.begin(intent.key, hashed)
            if answer.verdict == "put_off":
                until = answer.until or self._clock() + HOUR
                self._recipients.put_off(hashed, until)
                raise PutOff(f"until {until:%H:%M:%S} UTC")
            if answer.verdict == "begun":
                begun = answer
                return None
            return answer.outcome or Outcome("stopped")

        try:
            outcome = await self._carrier.send(recipient, self._letter(intent, recipient), begin)
        except NotAccepted:
            if begun is not None:
                await self._begins.withdraw(intent.key, begun.stamp)
            elif (known := await self._begins.ended(intent.key)) is not None:
                return known
            raise
        if begun is not None:
            await self._note(intent, begun.stamp, outcome)
        return outcome

    async def _note(self, intent: Intent, stamp: datetime, outcome: Outcome) -> None:
        """Should the database not note it, the mail is not in doubt as long as this process lives."""
        self._ended[_mail(intent)] = outcome
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        try:
            await self._begins.end(intent.key, stamp, outcome)
        except Unavailable:
            log.warning("database away: how a mail ended is not noted before it is settled")

    def _letter(self, intent: Intent, recipient: str) -> bytes:
        sealed = intent.payload.get("shipping")
        shipping = json.loads(self._seal.open(sealed)) if sealed else None
        return self._letters.message(intent, recipient, shipping)
