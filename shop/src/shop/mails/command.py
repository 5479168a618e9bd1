"""`shop mails`: inspect mails that could not be delivered, and send them again."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, cast
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts import MailReason, MailResendRequested
from shop import targets
from shop.audit.trail import Audit, operator
from shop.errors import ShopError
from shop.publishing import publish
from shop.sagas.collecting import put_off_mails, undeliverable_mails
from shop.sagas.snapshot import UndeliveredMail
from shop.services import open_databases
from shop.targets import Target
from shop.terminal import As, Json, Why, Yes, consent, printable

app = typer.Typer(help="Inspect undelivered mails; send them again.", no_args_is_help=True)

LIMIT = 1000
SHORTEST_PREFIX = 4
Ids = Annotated[list[str], typer.Argument(help="Ids of mails as in `list`, or of their orders, or prefixes.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most this many, the oldest.")]


@app.command("list")
def list_mails(limit: Limit = LIMIT, as_json: Json = False) -> None:
    """Mails that were rejected, given up, or are in doubt, and why; and how many wait for an hourly limit."""
    mails, waiting = asyncio.run(_look(limit))
    if as_json:
        parts = {"mails": mails, "put_off": waiting}
        print(json.dumps({name: [document(one) for one in part] for name, part in parts.items()}, indent=2))
        return
    console = Console()
    _print(console, mails)
    if waiting:
        console.print(f"{len(waiting)} more wait for their recipients' hourly limit (--json lists them)")


@app.command()
def resend(
    mails: Ids,
    why: Why = None,
    yes: Yes = False,
    who: As = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """Have mails sent again, under the same Message-ID. What is in doubt may have arrived: then it arrives
    twice."""
    found = asyncio.run(select(targets.resolve(), mails, limit))
    console = Console(quiet=as_json)
    _print(console, found)
    question = f"Send {len(found)} mail{'s' * (len(found) > 1)} again?"
    why = consent(question, why, yes=yes, as_json=as_json)
    asyncio.run(request_resends(targets.resolve(), found, why, operator(who)))
    if as_json:
        print(json.dumps({"asked_for": [mail.id for mail in found]}, indent=2))
    console.print(f"{len(found)} requested; `shop mails list` shows those that fail again")


async def _look(limit: int) -> tuple[Sequence[UndeliveredMail], Sequence[UndeliveredMail]]:
    async with open_databases(targets.resolve()) as databases:
        return await undeliverable_mails(databases, limit), await put_off_mails(databases, limit)


def _print(console: Console, mails: Sequence[UndeliveredMail]) -> None:
    if not mails:
        console.print("every mail was delivered or is on its way")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("mail", "state", "since (UTC)", "resent", "why"):
        table.add_column(name, no_wrap=name in ("mail", "state", "since (UTC)"))
    for mail in mails:
        state, since = mail.fate.replace("_", " "), f"{mail.at:%Y-%m-%d %H:%M:%S}"
        cells = mail.id, state, since, f"{mail.resends}×", mail.why or ""
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console.print(table, soft_wrap=True)


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


async def request_resends(target: Target, mails: Sequence[UndeliveredMail], why: str, who: str) -> None:
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
