"""A letter as the bytes that SMTP carries, put together by hand: `email.message` takes a millisecond for it.

Source: RFC 5322, RFC 2045, RFC 2046.
"""

import re
from binascii import b2a_qp
from collections.abc import Mapping

from contracts import mail_address

_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x7f]")


def is_mailbox(text: str) -> bool:
    """Whether it is an address that every mail server takes, as auth and order know it, and no more."""
    try:
        return mail_address(text) == text
    except ValueError:
        return False


def compose(headers: Mapping[str, str], text: str, html: str) -> bytes:
    """The message, of which a reader shows the better part. Raises ValueError on a header that breaks out."""
    for value in headers.values():
        if _BREAKS.search(value):
            raise ValueError("a header holds a line break, a control character or no ASCII")
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
    return (
        b'\r\n--=_part\r\nContent-Type: text/%b; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b" % (subtype.encode(), encoded)
    )
