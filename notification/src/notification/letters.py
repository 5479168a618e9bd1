"""Letters as shoppers read them: subject, HTML and plain text, from templates compiled once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from chassis.saga.tx import Intent
from contracts import cleaned, written
from notification.claim_links import ClaimLinks
from notification.declines import why_declined
from notification.mime import compose

_SUBJECTS = {
    "receipt": "Your receipt for order {number}",
    "cancellation": "Your order {number} is cancelled",
    "refund": "Your refund for order {number}",
    "welcome": "Your account is ready",
}
# What mails that were intended by earlier releases do not say.
_ABSENT = {"by": None, "rest": False, "part": None, "failed": False}
_FAILED = "Your refund for order {number} did not arrive"
_SHIPPING = ("name", "street", "city", "postcode", "country")

Shipping = Mapping[str, str] | None


@dataclass(frozen=True)
class Rendered:
    """One letter, to be read."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Seller:
    """Who sells: `lines` are name and address, as receipts show them."""

    lines: Sequence[str] = ()
    vat_id: str | None = None


class Letters:
    """Writes letters in the name of `sender`, for example `Saga Shop <shop@example.com>`. `order_link` is
    where a shopper finds an order, with `{number}` in it; `claim_links` lead to where a guest's is
    claimed."""

    def __init__(
        self,
        sender: str,
        seller: Seller | None = None,
        order_link: str | None = None,
        claim_links: ClaimLinks | None = None,
    ) -> None:
        name, address = parseaddr(sender)
        self.envelope_sender = address
        self._from = formataddr((name, address))
        self._host = address.rpartition("@")[2]
        self._order_link = order_link
        self._claim_links = claim_links
        environment = Environment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters["money"] = written
        environment.filters["one_line"] = cleaned
        environment.filters["why_declined"] = why_declined
        environment.globals["shop"] = name or self._host
        environment.globals["seller"] = seller or Seller()
        self._templates = {
            reason: (environment.get_template(f"{reason}.txt"), environment.get_template(f"{reason}.html"))
            for reason in _SUBJECTS
        }

    def render(self, intent: Intent, shipping: Shipping = None) -> Rendered:
        """The letter that is intended; nothing in it depends on when it is rendered."""
        number = intent.payload.get("number") or intent.payload.get("order_id") or str(intent.subject)
        pattern = _FAILED if intent.payload.get("failed") else _SUBJECTS[intent.kind]
        subject = pattern.format(number=number)
        placed_at = intent.payload.get("placed_at")
        context: Mapping[str, Any] = {
            **_ABSENT,
            **intent.payload,
            "subject": subject,
            "number": number,
            "about_order": intent.kind != "welcome",
            "placed_on": _day(placed_at) if placed_at else None,
            "shipping": [shipping[part] for part in _SHIPPING if shipping.get(part)] if shipping else [],
            "link": self._order_link.format(number=number) if self._order_link else None,
            **self._claim(intent),
        }
        text, html = self._templates[intent.kind]
        return Rendered(subject, text.render(context), html.render(context))

    def _claim(self, intent: Intent) -> Mapping[str, Any]:
        if self._claim_links is None or not intent.payload.get("guest"):
            return {"claim_link": None, "claim_days": None}
        written_at = datetime.fromisoformat(intent.payload["written_at"])
        link = self._claim_links.to(intent.subject, written_at)
        return {"claim_link": link, "claim_days": self._claim_links.days}

    def message(self, intent: Intent, recipient: str, shipping: Shipping = None) -> bytes:
        """The same for SMTP. A repeat is the same message to the byte, with the same Message-ID."""
        letter = self.render(intent, shipping)
        headers = {
            "From": self._from,
            "To": recipient,
            "Subject": letter.subject,
            "Date": format_datetime(datetime.fromisoformat(intent.payload["written_at"])),
            "Message-ID": f"<{intent.kind}.{_about(intent)}@{self._host}>",
            "Auto-Submitted": "auto-generated",
            "X-Reason": intent.kind,
        }
        if intent.kind != "welcome":
            headers["X-Order-Id"] = intent.payload.get("order_id") or str(intent.subject)
        return compose(headers, letter.text, letter.html)


def _about(intent: Intent) -> str:
    """The order, and the refund where an order may have several."""
    order_id = intent.payload.get("order_id")
    return f"{order_id}.{intent.subject}" if order_id else str(intent.subject)


def _day(moment: str) -> str:
    """`2026-11-27T09:58:00+00:00` is `27 November 2026`, UTC, whatever the locale."""
    day = datetime.fromisoformat(moment)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
