"""`shop mails`: inspect mails that could not be delivered, and send them again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, cast
from uuid import uuid4

import typer
from rich.console import Console

from contracts import MailReason, MailResendRequested
from shop import targets
from shop.audit.trail import Audit, operator
from shop.errors import ShopError
from shop.publishing import publish
from shop.sagas.collecting import put_off_mails, undeliverable_mails
from shop.sagas.snapshot import UndeliveredMail
from shop.services import open_databases
from shop.targets import Target
from shop.terminal import As, Commands, Json, Why, Yes, consent, print_json, table

app = Commands("Inspect undelivered mails; send them again.")

LIMIT = 1000
SHORTEST_PREFIX = 4
Ids = Annotated[list[str], typer.Argument(help="Ids of mails as in `list`, or of their orders, or prefixes.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most this many, the oldest.")]


@app.command("list")
async def list_mails(limit: Limit = LIMIT, as_json: Json = False) -> None:
    """Mails that were rejected, given up, or are in doubt, and why; and how many wait for an hourly limit."""
    async with open_databases(targets.resolve()) as databases:
        mails, waiting = await undeliverable_mails(databases, limit), await put_off_mails(databases, limit)
    if as_json:
        print_json({"mails": mails, "put_off": waiting})
        return
    console = Console()
    _print(console, mails)
    if waiting:
        console.print(f"{len(waiting)} more wait for their recipients' hourly limit (--json lists them)")


@app.command()
async def resend(
    mails: Ids,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Have mails sent again, under the same Message-ID. What is in doubt may have arrived: then it arrives
    twice."""
    target, console = targets.resolve(), Console(quiet=as_json)
    async with open_databases(target) as databases:
        undelivered = await undeliverable_mails(databases, limit)
    found = list({mail.id: mail for mail in (_find(undelivered, one) for one in mails)}.values())
    _print(console, found)
    question = f"Send {len(found)} mail{'s' * (len(found) > 1)} again?"
    why = consent(question, why, yes=yes, as_json=as_json)
    await _request_resends(target, found, why, operator(who))
    if as_json:
        print_json({"asked_for": [mail.id for mail in found]})
    console.print(f"{len(found)} requested; `shop mails list` shows those that fail again")


def _print(console: Console, mails: Sequence[UndeliveredMail]) -> None:
    if not mails:
        console.print("every mail was delivered or is on its way")
        return
    rows = (
        (m.id, m.fate.replace("_", " "), f"{m.at:%Y-%m-%d %H:%M:%S}", f"{m.resends}×", m.why or "")
        for m in mails
    )
    columns = ("mail", "state", "since (UTC)", "resent", "why")
    console.print(table(columns, rows, no_wrap=("mail", "state", "since (UTC)")), soft_wrap=True)


async def _request_resends(target: Target, mails: Sequence[UndeliveredMail], why: str, who: str) -> None:
    """Publish a request for each, audited. Raises ShopError at the first that the broker does not confirm."""
    async with Audit.opened(target, who) as audit:
        for mail in mails:
            event = MailResendRequested(
                resend_id=uuid4(), subject_id=mail.subject_id, reason=cast("MailReason", mail.reason)
            )
            about = None if mail.reason == "welcome" else str(mail.order_id or mail.subject_id)
            before = asdict(mail)
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
