"""Delivers the mails that the saga intends: each is sent at most once, and it is recorded why one is not.

No transaction is open while a mail is sent. Its start is committed immediately before its data is handed
over, after a last check whether its order was cancelled. A cancellation that is committed in the milliseconds
between that and the server's reply comes too late, and the shopper gets both mails. The outcome is committed
as soon as the server has replied. A mail that was started and has no outcome, as after a crash, is in doubt:
it is not sent again, an operator decides.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from chassis.errors import Unavailable
from chassis.messaging.encryption import Cipher, EncryptionKeys, KeyedHash
from chassis.saga.tx import Intent
from notification.domain import Outcome
from notification.mail import MailRenderer, is_mailbox
from notification.settings import Settings
from notification.smtp import NotAccepted, SmtpClient
from notification.store import HOUR, SendLog, StartResult

log = structlog.get_logger()

_REMEMBERED = 10_000


class PutOff(Exception):
    """The recipient has had the maximum of mails within an hour: this one waits."""


class Recipients:
    """Who has had the maximum of mails, by a keyed hash, so that the database does not show who gets mail.

    `keys` is the setting `contact_key`. A new first key restarts all counts."""

    def __init__(self, keys: EncryptionKeys) -> None:
        self._hash = KeyedHash(keys, b"mail recipients")
        self._put_off: OrderedDict[bytes, datetime] = OrderedDict()

    def hash(self, address: str) -> bytes:
        """The same for every spelling of an address: case and what follows a `+` (RFC 5233) are ignored."""
        local, _, domain = address.lower().rpartition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        return self._hash.digest(mailbox)

    def put_off(self, hashed: bytes, until: datetime) -> None:
        """Remember the limit, so that this process need not connect to the mail server to find out again."""
        self._put_off[hashed] = until
        if len(self._put_off) > _REMEMBERED:
            self._put_off.popitem(last=False)

    def raise_if_put_off(self, hashed: bytes, now: datetime) -> None:
        """Raises PutOff until the recipient may get mail again."""
        until = self._put_off.get(hashed)
        if until is not None and now < until:
            raise PutOff(f"until {until:%H:%M:%S} UTC")
        self._put_off.pop(hashed, None)


def _attempt(intent: Intent) -> tuple[str, str]:
    """Identifies a mail and its resends, which all have the same key."""
    return intent.key, intent.payload["written_at"]


class MailDelivery:
    """Sends mails. One that could not be handed over for long is given up, and kept for an operator."""

    def __init__(
        self,
        settings: Settings,
        renderer: MailRenderer,
        send_log: SendLog,
        smtp: SmtpClient,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keep_trying = timedelta(seconds=settings.letter_keep_trying)
        self._cipher = Cipher.of(settings.contact_key)
        self._recipients = Recipients(settings.contact_key)
        self._renderer = renderer
        self._send_log = send_log
        self._smtp = smtp
        self._clock = clock
        self._outcomes: OrderedDict[tuple[str, str], Outcome] = OrderedDict()

    async def deliver(self, intent: Intent) -> Outcome:
        """The mail's outcome. Raises when there is none yet and the mail may be tried again: NotDecryptable
        (CONTACT_KEY lacks the key), NotAccepted, PutOff, Unavailable."""
        if (outcome := self._outcomes.get(_attempt(intent))) is not None:
            return outcome
        now = self._clock()
        if now - datetime.fromisoformat(intent.payload["written_at"]) > self._keep_trying:
            return await self._give_up(intent, f"not handed over within {self._keep_trying}")
        if intent.kind == "account" and _is_expired(intent, now):
            return await self._give_up(intent, "not handed over before its token expired")
        recipient = self._cipher.decrypt(intent.payload["contact"])
        if not is_mailbox(recipient):
            log.warning("mail rejected: the contact is not a mail address", reason=intent.kind)
            return Outcome("rejected", "the contact is not a mail address")
        hashed = self._recipients.hash(recipient)
        self._recipients.raise_if_put_off(hashed, now)
        return await self._send(intent, recipient, hashed)

    async def _give_up(self, intent: Intent, why: str) -> Outcome:
        if (known := await self._send_log.outcome_of(intent.key)) is not None:
            return known
        log.error("mail given up", reason=intent.kind)
        return Outcome("given_up", why)

    async def _send(self, intent: Intent, recipient: str, hashed: bytes) -> Outcome:
        started: StartResult | None = None

        async def start() -> Outcome | None:
            nonlocal started
            result = await self._send_log.start(intent.key, hashed)
            if result.verdict == "put_off":
                until = result.until or self._clock() + HOUR
                self._recipients.put_off(hashed, until)
                raise PutOff(f"until {until:%H:%M:%S} UTC")
            if result.verdict == "started":
                started = result
                return None
            return result.outcome or Outcome("stopped")

        try:
            outcome = await self._smtp.send(recipient, self._render(intent, recipient), start)
        except NotAccepted:
            if started is not None:
                await self._send_log.undo_start(intent.key, started.stamp)
            elif (known := await self._send_log.outcome_of(intent.key)) is not None:
                return known
            raise
        if started is not None:
            await self._record(intent, started.stamp, outcome)
        return outcome

    async def _record(self, intent: Intent, stamp: datetime, outcome: Outcome) -> None:
        """Record the outcome, in memory first: even without the database the mail is not in doubt while this
        process lives."""
        self._outcomes[_attempt(intent)] = outcome
        if len(self._outcomes) > _REMEMBERED:
            self._outcomes.popitem(last=False)
        try:
            await self._send_log.finish(intent.key, stamp, outcome)
        except Unavailable:
            log.warning("database unavailable: the outcome of a mail is kept in memory for now")

    def _render(self, intent: Intent, recipient: str) -> bytes:
        shipping, token = (self._decrypted(intent.payload.get(name)) for name in ("shipping", "token"))
        return self._renderer.message(intent, recipient, json.loads(shipping) if shipping else None, token)

    def _decrypted(self, encrypted: str | None) -> str | None:
        return self._cipher.decrypt(encrypted) if encrypted else None


def _is_expired(intent: Intent, now: datetime) -> bool:
    expires_at = intent.payload.get("expires_at")
    return expires_at is not None and now >= datetime.fromisoformat(expires_at)
