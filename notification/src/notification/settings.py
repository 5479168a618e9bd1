"""Notification's own settings: the mail server, the sender, for how long to retry and what to keep."""

from email.utils import parseaddr
from typing import Annotated

from pydantic import AfterValidator, Field

from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.jobs import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings
from notification.mail import AccountLinks, ClaimLinks, Seller, is_mailbox
from notification.smtp import SmtpSettings


def _sender(text: str) -> str:
    if not is_mailbox(parseaddr(text)[1]):
        raise ValueError("must be a mailbox, for example `Saga Shop <shop@example.com>`")
    return text


def _with(name: str, example: str) -> AfterValidator:
    """Validates a URL that contains that placeholder and no other."""

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
TokenLink = Annotated[str, _with("token", "https://example.com/claim#{token}")]


class Settings(ServiceSettings, SmtpSettings):
    """`contact_key` may list several keys, comma-separated: the first encrypts, any of them decrypts.

    The receipt of a guest's order has a `claim_link`, valid for `claim_link_days`; mails about an account
    have a `reset_link` or a `confirm_link`. A browser sends no server what follows the `#` of them.

    A mail that could not be handed over for `letter_keep_trying` seconds is given up.
    `seller_name` and `seller_address` (its lines separated by `|`) are printed on receipts. 0 days keep for
    ever. Correspondence records which mails were sent, and must be kept for longer than events can be
    repeated.
    """

    contact_key: EncryptionKeys
    mail_from: Annotated[str, AfterValidator(_sender)]
    seller_name: str | None = None
    seller_address: str | None = None
    seller_vat_id: str | None = None
    order_link: OrderLink | None = None
    claim_link: TokenLink | None = None
    claim_link_days: Annotated[int, Field(ge=1, le=365)] = 30
    reset_link: TokenLink | None = None
    confirm_link: TokenLink | None = None
    consume_linger: Annotated[float, Field(ge=0)] = 0.25  # a mail may be late by a moment
    settle_linger: Annotated[float, Field(ge=0)] = 0.25  # the send log has the outcome before that
    letter_keep_trying: Seconds = 3 * 24 * 60 * 60
    recipient_mails_per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    kept_mail_keep_days: KeepDays = 90
    correspondence_keep_days: KeepDays = 800

    def seller(self) -> Seller:
        name = [self.seller_name] if self.seller_name else []
        address = [part.strip() for part in (self.seller_address or "").split("|") if part.strip()]
        return Seller((*name, *address), self.seller_vat_id)

    def claim_links(self) -> ClaimLinks | None:
        if self.claim_link is None:
            return None
        return ClaimLinks(self.claim_link, self.claim_link_days, self.contact_key)

    def account_links(self) -> AccountLinks:
        return AccountLinks(self.reset_link, self.confirm_link)
