"""Mails as shoppers read them: subject, HTML and plain text, from templates that are compiled once."""

import re
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.quoprimime import body_encode
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic import SecretStr

from chassis.messaging.encryption import Tickets
from chassis.saga.tx import Intent
from contracts import CLAIM_PURPOSE, DeclineReason, OrderClaim, cleaned, format_amount, mail_address
from notification.domain import Notice

_SUBJECTS = {
    "receipt": "Your receipt for order {number}",
    "cancellation": "Your order {number} is cancelled",
    "refund": "Your refund for order {number}",
    "welcome": "Your account is ready",
    "account": "{notice}",
}
_NOTICES: Mapping[Notice, str] = {
    "password_reset": "Choose a new password",
    "password_changed": "Your password was changed",
    "confirmation": "Confirm your e-mail address",
    "deleted": "Your account was deleted",
}
_ABOUT_ACCOUNTS = ("welcome", "account")
# Defaults for what intents of earlier releases do not contain.
_ABSENT = {"by": None, "rest": False, "part": None, "failed": False}
_FAILED = "Your refund for order {number} did not arrive"
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x7f]")
_ADDRESS = ("name", "company", "street", "line2", "city", "state", "postcode", "country")
_LABELLED = {"phone": "Phone", "vat_id": "VAT ID"}

Shipping = Mapping[str, str] | None


# The bank is blamed only where it was the bank.
SENTENCES: Mapping[DeclineReason, str] = {
    "bank_declined": "Your bank declined the payment. It does not tell us why; it can tell you.",
    "insufficient_funds": "Your bank declined the payment: there was not enough money for it.",
    "card_expired": "The payment was declined because the card has expired.",
    "card_details": "The payment was declined because one of the card's details was not right: its number, "
    "expiry date, security code or postcode.",
    "card_not_supported": "This card cannot be used for this payment.",
    "not_confirmed": "Your bank asked for a confirmation of the payment, and it was not confirmed.",
    "payment_method_unusable": "The payment details had expired, or were used before: they count only once.",
    "amount": "This amount cannot be charged to a card: it is too small or too large.",
    "try_again": "The payment could not be processed at that moment. It may work if you order again.",
    "not_completed": "The payment could not be completed. Your bank has not declined it.",
}
_UNKNOWN = "The payment was declined."


def why_declined(reason: str | None) -> str:
    """The sentence for a reason; a general one for no reason and for one that this release does not know."""
    return next((sentence for known, sentence in SENTENCES.items() if known == reason), _UNKNOWN)


class ClaimLinks:
    """Builds the links in guests' receipts by which an account claims the order. `link` is the URL of the
    claim page with `{token}` in it; a token is valid for that many days after its mail was written."""

    def __init__(self, link: str, days: int, keys: SecretStr) -> None:
        self.days = days
        self._link = link
        self._tickets = Tickets.of(keys, CLAIM_PURPOSE)

    def to(self, order_id: UUID, written_at: datetime) -> str:
        """The order's link; deterministic."""
        content = OrderClaim(order_id=order_id).model_dump(mode="json")
        until = written_at + timedelta(days=self.days)
        return self._link.format(token=self._tickets.issue(content, until.timestamp()))


@dataclass(frozen=True)
class RenderedMail:
    """A mail's contents."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Seller:
    """The seller as receipts show it: `lines` are its name and address."""

    lines: Sequence[str] = ()
    vat_id: str | None = None


@dataclass(frozen=True)
class AccountLinks:
    """The URLs of the pages where a new password is chosen and an address is confirmed, with `{token}` in
    them. Without one the mail has the token alone."""

    reset: str | None = None
    confirm: str | None = None

    def to(self, intent: Intent, token: str | None) -> str | None:
        page = self.reset if intent.payload.get("notice") == "password_reset" else self.confirm
        return page.format(token=token) if page and token else None


class MailRenderer:
    """Renders mails from `sender`, for example `Saga Shop <shop@example.com>`. `order_link` is the URL of an
    order's page with `{number}` in it; `claim_links` builds the links in guests' receipts, `account_links`
    those in mails about an account."""

    def __init__(
        self,
        sender: str,
        seller: Seller | None = None,
        order_link: str | None = None,
        claim_links: ClaimLinks | None = None,
        account_links: AccountLinks | None = None,
    ) -> None:
        name, address = parseaddr(sender)
        self.envelope_sender = address
        self._from = formataddr((name, address))
        self._host = address.rpartition("@")[2]
        self._order_link = order_link
        self._claim_links = claim_links
        self._account_links = account_links or AccountLinks()
        environment = Environment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters["money"] = format_amount
        environment.filters["one_line"] = cleaned
        environment.filters["why_declined"] = why_declined
        environment.globals["shop"] = name or self._host
        environment.globals["seller"] = seller or Seller()
        self._templates = {
            reason: (environment.get_template(f"{reason}.txt"), environment.get_template(f"{reason}.html"))
            for reason in _SUBJECTS
        }

    def render(self, intent: Intent, shipping: Shipping = None, token: str | None = None) -> RenderedMail:
        """Render the mail for an intent; the result does not depend on the time of the call."""
        number = intent.payload.get("number") or intent.payload.get("order_id") or str(intent.subject)
        pattern = _FAILED if intent.payload.get("failed") else _SUBJECTS[intent.kind]
        notice = intent.payload.get("notice")
        subject = pattern.format(number=number, notice=_NOTICES[notice] if notice else None)
        placed_at = intent.payload.get("placed_at")
        expires_at = intent.payload.get("expires_at")
        context: Mapping[str, Any] = {
            **_ABSENT,
            **intent.payload,
            "subject": subject,
            "number": number,
            "about_order": intent.kind not in _ABOUT_ACCOUNTS,
            "placed_on": _day(placed_at) if placed_at else None,
            "shipping": _address_lines(shipping) if shipping else [],
            "link": self._order_link.format(number=number) if self._order_link else None,
            **self._claim(intent),
            "notice": notice,
            "token": token,
            "token_link": self._account_links.to(intent, token),
            "expires": _moment(expires_at) if expires_at else None,
        }
        text, html = self._templates[intent.kind]
        return RenderedMail(subject, text.render(context), html.render(context))

    def _claim(self, intent: Intent) -> Mapping[str, Any]:
        if self._claim_links is None or not intent.payload.get("guest"):
            return {"claim_link": None, "claim_days": None}
        written_at = datetime.fromisoformat(intent.payload["written_at"])
        link = self._claim_links.to(intent.subject, written_at)
        return {"claim_link": link, "claim_days": self._claim_links.days}

    def message(
        self, intent: Intent, recipient: str, shipping: Shipping = None, token: str | None = None
    ) -> bytes:
        """The mail as bytes for SMTP. The same intent gives the same bytes, with the same Message-ID."""
        mail = self.render(intent, shipping, token)
        headers = {
            "From": self._from,
            "To": recipient,
            "Subject": mail.subject,
            "Date": format_datetime(datetime.fromisoformat(intent.payload["written_at"])),
            "Message-ID": f"<{intent.kind}.{_about(intent)}@{self._host}>",
            "Auto-Submitted": "auto-generated",
            "X-Reason": intent.kind,
        }
        if intent.kind not in _ABOUT_ACCOUNTS:
            headers["X-Order-Id"] = intent.payload.get("order_id") or str(intent.subject)
        return compose(headers, mail.text, mail.html)


def _address_lines(shipping: Mapping[str, str]) -> list[str]:
    """The address as it is printed; a part that is empty, or that an older release did not know, leaves no
    line."""
    address = [shipping[part] for part in _ADDRESS if shipping.get(part)]
    return address + [f"{label}: {shipping[part]}" for part, label in _LABELLED.items() if shipping.get(part)]


def _about(intent: Intent) -> str:
    """The order's id, and for partial refunds the refund's, too."""
    order_id = intent.payload.get("order_id")
    return f"{order_id}.{intent.subject}" if order_id else str(intent.subject)


def _day(moment: str) -> str:
    """`2026-11-27T09:58:00+00:00` is `27 November 2026`, UTC, whatever the locale."""
    day = datetime.fromisoformat(moment)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _moment(moment: str) -> str:
    """`2026-11-27T09:58:00+00:00` is `27 November 2026, 09:58 UTC`."""
    return f"{_day(moment)}, {datetime.fromisoformat(moment).astimezone(UTC):%H:%M} UTC"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def is_mailbox(text: str) -> bool:
    """Whether it is exactly one plain address, by the same rule as in auth and order."""
    try:
        return mail_address(text) == text
    except ValueError:
        return False


_LONGEST_LINE = 76  # RFC 2045, section 6.7


def compose(headers: Mapping[str, str], text: str, html: str) -> bytes:
    """A message with both alternatives, built by hand: `email.message` takes a millisecond for each. Raises
    ValueError for a header value that could add headers.

    Source: RFC 5322, RFC 2045, RFC 2046.
    """
    for value in headers.values():
        if _UNSAFE.search(value):
            raise ValueError("a header contains a line break, a control character or non-ASCII text")
    head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # Quoted-printable writes `=` as `=3D`, so `=_` cannot occur in a part.
    return b"".join(
        (
            head.encode("ascii"),
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="=_part"\r\n',
            _part("plain", text),
            _part("html", html),
            b"\r\n--=_part--\r\n",
        )
    )


def _part(subtype: str, content: str) -> bytes:
    lines = content.rstrip("\n") + "\n"  # b2a_qp breaks lines as the first line ends
    encoded = b2a_qp(lines.replace("\n", "\r\n").encode(), istext=True)
    if max(map(len, encoded.split(b"\r\n"))) > _LONGEST_LINE:  # a space at the end of a line of 75 characters
        encoded = body_encode(lines.encode().decode("latin-1"), _LONGEST_LINE, "\r\n").encode("latin-1")
    return (
        b'\r\n--=_part\r\nContent-Type: text/%b; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b" % (subtype.encode(), encoded)
    )
