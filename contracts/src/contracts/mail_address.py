"""What a mail address is: one definition for whoever takes one and for whoever writes to it.

An address is kept in the ASCII form that every mail server takes: its domain as IDNA writes it (`xn--…`), and
no other letters before the @, which need SMTPUTF8. What is accepted before money is taken can be written to
afterwards. Source: RFC 5321, RFC 5890.
"""

from functools import partial
from typing import Annotated

from email_validator import validate_email
from pydantic import AfterValidator, Field

_read = partial(validate_email, check_deliverability=False, allow_smtputf8=False, strict=True)


def mail_address(text: str) -> str:
    """The address in ASCII, whichever way its domain was written; letters keep their case before the @.

    Raises ValueError, saying why, for what is no address that every mail server takes.
    """
    ascii_form = _read(text.strip()).ascii_email
    if ascii_form is None:
        raise ValueError("must be an address in ASCII before the @")
    return ascii_form


MailAddress = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(mail_address),
]
"""A field of a request: whoever reads it has the ASCII form."""
