"""Letters as shoppers read them: subject, HTML and plain text, from templates compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from chassis.tx import Intent
from notification import money
from notification.mime import compose

_SUBJECTS = {
    "receipt": "Your receipt for order {number}",
    "cancellation": "Your order {number} is cancelled",
    "refund": "Your refund for order {number}",
    "welcome": "Your account is ready",
}


@dataclass(frozen=True)
class Rendered:
    """One letter, to be read."""

    subject: str
    text: str
    html: str


class Letters:
    """Writes letters in the name of `sender`, for example `Saga Shop <shop@example.com>`."""

    def __init__(self, sender: str) -> None:
        name, address = parseaddr(sender)
        self.envelope_sender = address
        self._from = formataddr((name, address))
        self._host = address.rpartition("@")[2]
        environment = Environment(
            loader=PackageLoader("notification"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters["money"] = money.written
        environment.globals["shop"] = name or self._host
        self._templates = {
            reason: (environment.get_template(f"{reason}.txt"), environment.get_template(f"{reason}.html"))
            for reason in _SUBJECTS
        }

    def render(self, intent: Intent) -> Rendered:
        """The letter that is intended; nothing in it depends on when it is rendered."""
        number = str(intent.subject)[:8]
        subject = _SUBJECTS[intent.kind].format(number=number)
        context: Mapping[str, Any] = {**intent.payload, "subject": subject, "number": number}
        text, html = self._templates[intent.kind]
        return Rendered(subject, text.render(context), html.render(context))

    def message(self, intent: Intent, recipient: str) -> bytes:
        """The same for SMTP. A repeat is the same message to the byte, with the same Message-ID."""
        letter = self.render(intent)
        headers = {
            "From": self._from,
            "To": recipient,
            "Subject": letter.subject,
            "Date": format_datetime(datetime.fromisoformat(intent.payload["written_at"])),
            "Message-ID": f"<{intent.kind}.{intent.subject}@{self._host}>",
            "Auto-Submitted": "auto-generated",
            "X-Reason": intent.kind,
        }
        if intent.kind != "welcome":
            headers["X-Order-Id"] = str(intent.subject)
        return compose(headers, letter.text, letter.html)
