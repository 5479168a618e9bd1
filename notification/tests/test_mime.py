"""Headers that cannot be broken out of, and amounts without rounding."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification.mime import compose, is_mailbox
from notification.money import written

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(text=ANY_TEXT, html=ANY_TEXT)
def test_any_text_arrives_as_it_was(text: str, html: str) -> None:
    raw = compose({"Subject": "x"}, text, html)

    message = email.message_from_bytes(raw, policy=email.policy.default)

    plain, rich = message.iter_parts()
    for part, content in ((plain, text), (rich, html)):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.replace(b"\r\n", b"\n").rstrip(b"\n") == content.encode().rstrip(b"\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    assert raw.count(b"\n") == raw.count(b"\r\n")


@pytest.mark.parametrize("value", ["a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0", "ä"])
def test_a_header_cannot_be_broken_out_of(value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        compose({"To": value}, "", "")


@pytest.mark.parametrize("text", ["ada@example.com", "a.b+c@x-y.example", "o'hara@example.com"])
def test_ordinary_addresses_are_mailboxes(text: str) -> None:
    assert is_mailbox(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example.com\n",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        "ada @example.com",
        "ä@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 260,
    ],
)
def test_whatever_could_say_more_than_one_address_is_none(text: str) -> None:
    assert not is_mailbox(text)


@pytest.mark.parametrize(
    ("amount", "currency", "reads"),
    [
        (0, "GBP", "£0.00"),
        (5, "GBP", "£0.05"),
        (1999, "EUR", "€19.99"),
        (123_456_789, "USD", "$1,234,567.89"),
        (1999, "JPY", "JPY 1,999"),
        (12_345, "KWD", "KWD 12.345"),
        (12_345, "CLF", "CLF 1.2345"),
        (1999, "CHF", "CHF 19.99"),
        (9_007_199_254_740_993, "GBP", "£90,071,992,547,409.93"),
    ],
)
def test_amounts_read_as_their_currency_is_counted(amount: int, currency: str, reads: str) -> None:
    assert written(amount, currency) == reads
