"""Builds a mail's bytes for SMTP by hand: `email.message` takes a millisecond for each.

Source: RFC 5322, RFC 2045, RFC 2046.
"""

import re
from binascii import b2a_qp
from collections.abc import Mapping

from contracts import mail_address

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x7f]")


def is_mailbox(text: str) -> bool:
    """Whether it is exactly one plain address, by the same rule as in auth and order."""
    try:
        return mail_address(text) == text
    except ValueError:
        return False


def compose(headers: Mapping[str, str], text: str, html: str) -> bytes:
    """A message with both alternatives. Raises ValueError for a header value that could add headers."""
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
    return (
        b'\r\n--=_part\r\nContent-Type: text/%b; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b" % (subtype.encode(), encoded)
    )
