"""Header values cannot add headers."""

import email
import email.policy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notification.mail import compose, is_mailbox

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(text=ANY_TEXT, html=ANY_TEXT)
@example(text="é" + 73 * "a" + " ", html=74 * "a" + " \n€")
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
def test_a_header_value_cannot_add_headers(value: str) -> None:
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
def test_text_that_could_be_read_as_several_addresses_is_rejected(text: str) -> None:
    assert not is_mailbox(text)
