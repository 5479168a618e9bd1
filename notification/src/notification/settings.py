"""What notification is told: where mail is handed over, in whose name, for how long to try, what to keep."""

from email.utils import parseaddr
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from chassis.messaging.sealed import SealKeys
from chassis.runtime.settings import Seconds, ServiceSettings
from notification.letters import Seller
from notification.mime import is_mailbox


def _sender(text: str) -> str:
    if not is_mailbox(parseaddr(text)[1]):
        raise ValueError("must be a mailbox, for example `Saga Shop <shop@example.com>`")
    return text


def _with(name: str, example: str) -> AfterValidator:
    """A URL with that placeholder in it, and no other."""

    def check(text: str) -> str:
        try:
            complete = text.format(**{name: "7"}) != text and text.startswith(("http://", "https://"))
        except (LookupError, ValueError):
            complete = False
        if not complete:
            raise ValueError(f"must be a URL with {{{name}}} in it, for example `{example}`")
        return text

    return AfterValidator(check)


OrderLink = Annotated[str, _with("number", "https://example.com/orders/{number}")]
ClaimLink = Annotated[str, _with("token", "https://example.com/claim#{token}")]


Days = Annotated[int, Field(ge=0)]


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: any of them opens.

    The receipt of a guest's order has a `claim_link`, good for `claim_link_days`; what stands behind its `#`
    no server is told.

    `smtp_timeout` spans connecting and all that comes before a mail, `smtp_data_timeout` the mail itself
    until the server's answer: as long as RFC 5321 asks, since a mail without an answer is not sent again by
    itself. `seller_name` and `seller_address` (its lines separated by `|`) stand on receipts. What is kept
    for 0 days is kept for ever; correspondence is how a letter is known to have been sent, and has to outlast
    every repeat of its event.
    """

    contact_key: SealKeys
    mail_from: Annotated[str, AfterValidator(_sender)]
    seller_name: str | None = None
    seller_address: str | None = None
    seller_vat_id: str | None = None
    order_link: OrderLink | None = None
    claim_link: ClaimLink | None = None
    claim_link_days: Annotated[int, Field(ge=1, le=365)] = 30
    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=32)] = 4
    smtp_idle: Seconds = 15
    smtp_timeout: Seconds = 30
    smtp_data_timeout: Seconds = 600
    consume_linger: Annotated[float, Field(ge=0)] = 0.25  # a letter may be a moment late
    settle_linger: Annotated[float, Field(ge=0)] = 0.25  # how a mail ended is noted before that
    letter_keep_trying: Seconds = 3 * 24 * 60 * 60
    recipient_mails_per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    kept_mail_keep_days: Days = 90
    correspondence_keep_days: Days = 800

    def seller(self) -> Seller:
        name = [self.seller_name] if self.seller_name else []
        address = [part.strip() for part in (self.seller_address or "").split("|") if part.strip()]
        return Seller((*name, *address), self.seller_vat_id)
