"""The mails as a mail program shows them."""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from html import escape, unescape
from typing import Any, cast, get_args
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from chassis.messaging.encryption import TicketExpired, Tickets
from chassis.saga.tx import Intent
from contracts import CLAIM_PURPOSE, CancelReason, DeclineReason, Line, Money, ShortLine
from contracts.testing import (
    CONTACT,
    ORDER_ID,
    SHOPPER_ID,
    user_confirmation_requested,
    user_password_reset_requested,
    user_registered,
)
from notification import domain
from notification.mail import SENTENCES, AccountLinks, ClaimLinks, MailRenderer, Seller, Shipping

from ..events import cancelled, out_of_stock, paid, refund_failed, refunded

NOTHING = Money(amount=0, currency="GBP")
WRITTEN = {"contact": CONTACT, "written_at": "2026-01-01T12:00:00+00:00"}


def read(
    intent: Intent,
    sender: str = "Saga Shop <shop@example.com>",
    shipping: Shipping = None,
    token: str | None = None,
    **terms: Any,
) -> EmailMessage:
    raw = MailRenderer(sender, **terms).message(intent, "ada@example.com", shipping, token)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message.defects == []
    assert max(map(len, raw.split(b"\r\n"))) <= 78 + len("Message-ID: <cancellation.@example.com>")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    return message


def body(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body((kind,))
    content: str = part.get_content()
    return content


def intended(kind: str, content: domain.Content, subject: UUID = ORDER_ID) -> Intent:
    return Intent(kind, subject, {**content, **WRITTEN})


RECEIPT = intended("receipt", domain.receipt(paid()))


def test_a_receipt_says_what_was_paid_for_what() -> None:
    message = read(RECEIPT)
    assert message["Subject"] == "Your receipt for order K7Q2X-9XMDA"
    for kind in ("plain", "html"):
        assert "£25.00" in body(message, kind)
        assert "£4.99" in body(message, kind)
        assert "£29.99" in body(message, kind)
    assert "2 x Mug <b>large</b>: £25.00" in body(message, "plain")


def test_names_are_escaped_in_html_and_as_they_are_in_text() -> None:
    message = read(RECEIPT)
    assert "Mug &lt;b&gt;large&lt;/b&gt;" in body(message, "html")
    assert "<b>large" not in body(message, "html")
    assert "<b>large</b>" in body(message, "plain")


ADDRESS = {
    "name": "Ada L",
    "street": "1 Mill <Lane>",
    "city": "York",
    "postcode": "YO1 7HH",
    "country": "GB",
}


KEY = SecretStr(Fernet.generate_key().decode())
CLAIM_LINKS = ClaimLinks("https://shop.example.com/claim#{token}", 30, KEY)
GUESTS_RECEIPT = intended("receipt", domain.receipt(paid(guest=True)))


def test_a_guests_receipt_has_a_link_to_claim_the_order_with() -> None:
    message = read(GUESTS_RECEIPT, claim_links=CLAIM_LINKS)
    for kind in ("plain", "html"):
        [token] = re.findall(r"https://shop.example.com/claim#([\w-]+)", body(message, kind))
        written_at = datetime.fromisoformat(WRITTEN["written_at"]).timestamp()
        for seconds, is_good in ((30 * 86_400 - 1, True), (30 * 86_400, False)):
            tickets = Tickets([KEY.get_secret_value()], CLAIM_PURPOSE, clock=lambda: written_at + seconds)  # noqa: B023
            if is_good:
                assert tickets.read(token) == {"order_id": str(ORDER_ID)}
            else:
                with pytest.raises(TicketExpired):
                    tickets.read(token)
        assert "works once, for 30 days" in body(message, kind)


def test_a_receipt_that_is_sent_again_has_the_same_link() -> None:
    first, again = (read(GUESTS_RECEIPT, claim_links=CLAIM_LINKS).as_bytes() for _ in range(2))
    assert first == again


def test_an_accounts_receipt_has_no_link_to_claim_it_with() -> None:
    for guest in (False, None):
        message = read(intended("receipt", domain.receipt(paid(guest=guest))), claim_links=CLAIM_LINKS)
        assert "claim" not in body(message, "plain") + body(message, "html")


def test_without_the_setting_a_guests_receipt_has_no_claim_link() -> None:
    assert "account" not in body(read(GUESTS_RECEIPT), "plain")


def test_a_receipt_intended_by_the_previous_release_has_no_claim_link() -> None:
    content = {name: value for name, value in domain.receipt(paid(guest=True)).items() if name != "guest"}
    assert "claim" not in body(read(intended("receipt", content), claim_links=CLAIM_LINKS), "plain")


def test_a_receipt_has_number_date_address_seller_and_link() -> None:
    seller = Seller(("Saga Shop Ltd", "2 High Street", "Leeds"), "GB123456789")
    message = read(
        RECEIPT, shipping=ADDRESS, seller=seller, order_link="https://shop.example.com/orders/{number}"
    )
    plain, rich = body(message, "plain"), body(message, "html")
    for expected in (
        "K7Q2X-9XMDA",
        "27 November 2026",
        "Ada L",
        "York",
        "YO1 7HH",
        "Saga Shop Ltd",
        "GB123456789",
    ):
        assert expected in plain
        assert expected in rich
    assert "1 Mill <Lane>" in plain
    assert "1 Mill &lt;Lane&gt;" in rich
    assert "https://shop.example.com/orders/K7Q2X-9XMDA" in plain
    assert 'href="https://shop.example.com/orders/K7Q2X-9XMDA"' in rich


def test_a_receipt_shows_every_part_of_the_address() -> None:
    parts = {
        **ADDRESS,
        "company": "Engines & Co.",
        "line2": "Floor 3",
        "state": "Yorkshire",
        "phone": "+44 1904 555 0100",
        "vat_id": "GB123456789",
    }
    message = read(RECEIPT, shipping=parts)
    lines = [
        *("Ada L", "Engines & Co.", "1 Mill <Lane>", "Floor 3", "York", "Yorkshire", "YO1 7HH", "GB"),
        *("Phone: +44 1904 555 0100", "VAT ID: GB123456789"),
    ]
    assert "\r\n".join(["Ships to:", *lines, ""]) in body(message, "plain")
    assert "<br>".join(map(escape, lines)) in body(message, "html")


def test_an_empty_part_of_the_address_leaves_no_line() -> None:
    empty = dict.fromkeys(("company", "line2", "state", "postcode", "phone", "vat_id"), "")
    message = read(RECEIPT, shipping={**ADDRESS, **empty})
    assert "Ships to:\r\nAda L\r\n1 Mill <Lane>\r\nYork\r\nGB\r\n" in body(message, "plain")
    assert "Ada L<br>1 Mill &lt;Lane&gt;<br>York<br>GB</p>" in body(message, "html")


def test_a_receipt_leaves_out_what_is_missing() -> None:
    """Events of older releases have no number, date or address, and the seller is an optional setting."""
    message = read(intended("receipt", domain.receipt(paid(number=None, placed_at=None))))
    assert message["Subject"] == f"Your receipt for order {ORDER_ID}"
    for kind in ("plain", "html"):
        for label in ("None", "Date", "Ships to", "Sold by", "VAT", "See your order"):
            assert label not in body(message, kind)


def test_an_intent_of_an_older_release_can_still_be_sent() -> None:
    content = {name: domain.receipt(paid())[name] for name in ("lines", "total", "currency")}
    assert "£29.99" in body(read(intended("receipt", content)), "plain")


FORGED = "Tea\nTotal paid: £0.00\r\x85\u2028\u2029Sold by: Eve\u202e\u200f\x0b\x0c\x1b\ud800"


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_name_cannot_forge_a_line(kind: str) -> None:
    line = Line(sku="TEA", name=FORGED, quantity=1, unit_price=499)
    short = (ShortLine(sku="TEA", wanted=2, available=1),)
    for intent in (
        intended("receipt", domain.receipt(paid(lines=(line,)))),
        intended(
            "cancellation",
            domain.cancellation(cancelled("out_of_stock", lines=(line,), short=short), paid=False),
        ),
    ):
        [found] = [one for one in body(read(intent), kind).splitlines() if "Total paid: £0.00" in one]
        assert "Tea Total paid: £0.00 Sold by: Eve" in found


def test_a_mail_has_its_headers() -> None:
    message = read(RECEIPT)
    assert message["Message-ID"] == f"<receipt.{ORDER_ID}@example.com>"
    assert message["X-Order-Id"] == str(ORDER_ID)
    assert message["X-Reason"] == "receipt"
    assert message["From"] == "Saga Shop <shop@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Date"].datetime == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"


def test_the_html_part_comes_last() -> None:
    parts = [part.get_content_type() for part in read(RECEIPT).iter_parts()]
    assert parts == ["text/plain", "text/html"]


def test_the_same_intent_gives_the_same_bytes() -> None:
    renderer = MailRenderer("Saga Shop <shop@example.com>")
    assert renderer.message(RECEIPT, "ada@example.com") == renderer.message(RECEIPT, "ada@example.com")


@pytest.mark.parametrize("reason", get_args(DeclineReason))
def test_a_decline_is_explained_and_the_bank_is_blamed_only_if_it_was_the_bank(
    reason: str,
) -> None:
    event = cancelled("payment_declined", decline_reason=reason)
    message = read(intended("cancellation", domain.cancellation(event, paid=False)))
    for kind in ("plain", "html"):
        text = " ".join(unescape(body(message, kind)).split())
        assert SENTENCES[cast("DeclineReason", reason)] in text
        assert ("Your bank declined" in text) == (reason in ("bank_declined", "insufficient_funds"))


def test_a_cancellation_intended_by_an_older_release_can_still_be_rendered() -> None:
    content = dict(domain.cancellation(cancelled("payment_declined"), paid=False))
    del content["decline_reason"]
    assert "The payment was declined." in body(read(intended("cancellation", content)), "plain")


SENTENCE_FOR = {
    "payment_declined": "The payment was declined.",
    "shopper": "as you asked",
    "expired": "could not be completed in time",
    "out_of_stock": "we do not have all of it any more",
}


@pytest.mark.parametrize("reason", get_args(CancelReason))
def test_a_cancellation_says_why_in_words(reason: str) -> None:
    sentence = SENTENCE_FOR[reason]
    message = read(intended("cancellation", domain.cancellation(cancelled(reason), paid=False)))
    for kind in ("plain", "html"):
        assert sentence in body(message, kind)
        assert "Nothing was charged" in body(message, kind)
        assert reason not in body(message, kind)


def test_lines_out_of_stock_are_listed() -> None:
    message = read(intended("cancellation", domain.cancellation(out_of_stock(), paid=False)))
    assert "- Mug <b>large</b>: you ordered 2, 1 left" in body(message, "plain")
    assert "1 left" in body(message, "html")
    assert "Earl Grey" not in body(message, "plain")


def test_a_cancellation_after_payment_says_that_the_money_comes_back() -> None:
    message = read(intended("cancellation", domain.cancellation(cancelled(), paid=True)))
    for kind in ("plain", "html"):
        assert "goes back to you in full" in body(message, kind)
        assert "£29.99" in body(message, kind)
        assert "Nothing was charged" not in body(message, kind)


def test_a_failed_refund_says_that_the_shop_gets_in_touch() -> None:
    message = read(intended("refund", domain.refund_failed(refund_failed()), UUID(int=9)))
    assert message["Subject"] == "Your refund for order K7Q2X-9XMDA did not arrive"
    assert message["X-Order-Id"] == str(ORDER_ID)
    for kind in ("plain", "html"):
        assert "£29.99" in body(message, kind)
        assert "We will get in touch" in body(message, kind)
        assert "five to ten days" not in body(message, kind)


def test_a_refund_says_how_much() -> None:
    message = read(intended("refund", domain.refund(refunded())))
    assert message["Subject"] == "Your refund for order K7Q2X-9XMDA"
    assert "£29.99" in body(message, "plain")
    assert "£29.99" in body(message, "html")


@pytest.mark.parametrize(
    "intent",
    [
        intended("receipt", domain.receipt(paid(total=NOTHING))),
        intended("cancellation", domain.cancellation(cancelled(total=NOTHING), paid=True)),
        intended("cancellation", domain.cancellation(cancelled("expired", total=NOTHING), paid=False)),
    ],
    ids=["receipt", "cancelled", "expired"],
)
def test_mails_about_free_orders_do_not_mention_money(intent: Intent) -> None:
    message = read(intent)
    for kind in ("plain", "html"):
        text = body(message, kind)
        assert "There was nothing to pay." in text
        assert not {"payment", "bank", "charged"} & set(text.replace(".", " ").split())


@pytest.mark.parametrize(
    ("amount", "currency", "reads"), [(1999, "JPY", "JPY 1,999"), (12_340, "KWD", "KWD 12.340")]
)
def test_each_currency_has_its_own_decimals(amount: int, currency: str, reads: str) -> None:
    message = read(intended("receipt", domain.receipt(paid(total=Money(amount=amount, currency=currency)))))
    for kind in ("plain", "html"):
        assert reads in body(message, kind)


def test_a_welcome_is_about_no_order() -> None:
    message = read(intended("welcome", {}, SHOPPER_ID))
    assert message["X-Order-Id"] is None
    assert message["Message-ID"] == f"<welcome.{SHOPPER_ID}@example.com>"
    assert "order 9" not in body(message, "plain")
    assert "Welcome to Saga Shop" in body(message, "html")


LINKS = AccountLinks("https://shop.example.com/reset#{token}", "https://shop.example.com/confirm#{token}")
ACCOUNT_MAILS: list[tuple[str, domain.Content, str, str | None]] = [
    ("welcome", domain.token(user_registered()), "Your account is ready", "confirm"),
    (
        "account",
        domain.notice("password_reset", user_password_reset_requested()),
        "Choose a new pass",
        "reset",
    ),
    (
        "account",
        domain.notice("confirmation", user_confirmation_requested()),
        "Confirm your e-mail",
        "confirm",
    ),
    ("account", domain.notice("password_changed"), "Your password was changed", None),
    ("account", domain.notice("deleted"), "Your account was deleted", None),
]


@pytest.mark.parametrize(("kind", "content", "subject", "page"), ACCOUNT_MAILS)
def test_a_mail_about_an_account_has_the_link_of_its_token(
    kind: str, content: domain.Content, subject: str, page: str | None
) -> None:
    message = read(intended(kind, content, SHOPPER_ID), token="abc-_1", account_links=LINKS)
    assert message["Subject"].startswith(subject)
    assert message["X-Order-Id"] is None
    for part in ("plain", "html"):
        found = re.findall(r"https://shop.example.com/(\w+)#abc-_1", body(message, part))
        assert found == ([page] if page else [])


@pytest.mark.parametrize(("kind", "content", "subject", "page"), ACCOUNT_MAILS[:3])
def test_without_a_page_the_mail_has_the_token_itself(
    kind: str, content: domain.Content, subject: str, page: str | None
) -> None:
    message = read(intended(kind, content, SHOPPER_ID), token="abc-_1")
    for part in ("plain", "html"):
        assert "abc-_1" in body(message, part)
        assert "http" not in body(message, part)


def test_a_shop_may_have_any_name() -> None:
    message = read(RECEIPT, "Käse & Söhne <laden@example.com>")
    assert message["From"] == "Käse & Söhne <laden@example.com>"
    assert "Käse &amp; Söhne" in body(message, "html")


def test_a_shop_without_a_name_is_called_by_its_host() -> None:
    assert "example.com" in body(read(RECEIPT, "shop@example.com"), "plain")
