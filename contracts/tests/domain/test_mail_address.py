"""An accepted mail address can be used by every mail server."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts import MailAddress, mail_address

FIELD: TypeAdapter[str] = TypeAdapter(MailAddress)
SAFE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("a@xn--mller-kva.de", "a@xn--mller-kva.de"),
        ("a@m\u00fcller.de", "a@xn--mller-kva.de"),
        ("a@mu\u0308ller.de", "a@xn--mller-kva.de"),
        ("A.b@M\u00dcLLER.de", "A.b@xn--mller-kva.de"),
        (" ada+shop@Example.com\n", "ada+shop@example.com"),
    ],
)
def test_an_address_has_one_form(typed: str, kept: str) -> None:
    assert mail_address(typed) == FIELD.validate_python(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "Ada <ada@example.com>",
        '"ada"@example.com',
        "ada@example.com,eve@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "a da@example.com",
        "\u00e4da@example.com",
        "ada@xn--a.de",
        "a" * 65 + "@example.com",
        "ada@" + "a" * 64 + ".com",
        "ada@" + ".".join(["a" * 63] * 4) + ".com",
        "ada@" + ".".join(["\u00fc" * 30] * 7) + ".de",  # 254 at most, and in ASCII it has more
    ],
)
def test_an_address_that_some_mail_servers_reject_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        FIELD.validate_python(typed)


@given(st.emails() | st.from_regex(r"[^@]{1,8}@[^@]{1,12}\.(de|com|\u0440\u0444)", fullmatch=True))
@example("a@\u00df\u3002de")
def test_an_accepted_address_is_ascii_and_stable(typed: str) -> None:
    try:
        kept = mail_address(typed)
    except ValueError:
        return
    assert SAFE.fullmatch(kept)
    assert len(kept) <= 254
    assert mail_address(kept) == kept
