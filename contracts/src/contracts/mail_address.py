"""The definition of a mail address, for services that accept one and services that send mail to it.

An address is stored in the ASCII form that every mail server accepts: its domain in IDNA form (`xn--…`), and
only ASCII before the @, since other letters need SMTPUTF8. So an address that is accepted before money is
taken can be mailed afterwards. Source: RFC 5321, RFC 5890.
"""

from functools import partial
from typing import Annotated

from email_validator import validate_email
from pydantic import AfterValidator, Field

_read = partial(validate_email, check_deliverability=False, allow_smtputf8=False, strict=True)


def mail_address(text: str) -> str:
    """Normalise an address to ASCII; the case of letters before the @ is kept.

    Raises ValueError, with the reason, for text that is not an address that every mail server accepts.
    """
    ascii_form = _read(text.strip()).ascii_email
    if ascii_form is None:
        raise ValueError("must have only ASCII before the @")
    return ascii_form


MailAddress = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(mail_address),
]
"""For fields of requests, which then have the ASCII form."""
