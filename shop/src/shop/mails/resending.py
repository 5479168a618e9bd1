"""Undelivered mails, and requests to send them again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast
from uuid import uuid4

from contracts import MailReason, MailResendRequested
from shop.audit.trail import Audit
from shop.errors import ShopError
from shop.publishing import publish
from shop.sagas.collecting import undeliverable_mails
from shop.sagas.snapshot import UndeliveredMail
from shop.services import open_databases
from shop.targets import Target

SHORTEST_PREFIX = 4


def document(mail: UndeliveredMail) -> dict[str, Any]:
    """The mail as JSON prints it."""
    order_id = None if mail.order_id is None else str(mail.order_id)
    plain = {"subject_id": str(mail.subject_id), "at": mail.at.isoformat(), "order_id": order_id}
    return asdict(mail) | plain


async def select(target: Target, ids: Sequence[str], limit: int) -> list[UndeliveredMail]:
    """The undeliverable mails whose ids, or whose orders' ids, start with these. Raises ShopError unless each
    matches one."""
    async with open_databases(target) as databases:
        mails = await undeliverable_mails(databases, limit)
    return list({mail.id: mail for mail in (_find(mails, one) for one in ids)}.values())


async def resend(target: Target, mails: Sequence[UndeliveredMail], why: str, who: str) -> None:
    """Publish a request for each, audited. Raises ShopError at the first that the broker does not confirm."""
    async with Audit.opened(target, who) as audit:
        for mail in mails:
            event = MailResendRequested(
                resend_id=uuid4(), subject_id=mail.subject_id, reason=cast("MailReason", mail.reason)
            )
            about = None if mail.reason == "welcome" else str(mail.order_id or mail.subject_id)
            before = document(mail)
            await publish(target, audit, event, action="resend-mail", why=why, order_id=about, before=before)


def _find(mails: Sequence[UndeliveredMail], prefix: str) -> UndeliveredMail:
    if len(prefix) < SHORTEST_PREFIX:
        raise ShopError(f"{prefix} is too short: give at least {SHORTEST_PREFIX} characters of the mail's id")
    found = [mail for mail in mails if prefix in _names(mail)] or [
        mail for mail in mails if any(name.startswith(prefix) for name in _names(mail))
    ]
    if not found:
        raise ShopError(f"no undeliverable mail {prefix}: `shop mails list` shows them")
    if len(found) > 1:
        raise ShopError(
            f"{prefix} is ambiguous ({', '.join(mail.id for mail in found)}): give more characters"
        )
    return found[0]


def _names(mail: UndeliveredMail) -> tuple[str, ...]:
    return mail.id, str(mail.subject_id), str(mail.order_id or "")
