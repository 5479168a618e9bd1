"""The events about accounts and mails, and the link by which an account claims a guest's order."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.order import Contact

CLAIM_PURPOSE = "claim a guest's order"
MailReason = Literal["receipt", "cancellation", "refund", "welcome"]

MailedToken = Annotated[
    str,
    Field(
        description="A token that can be used once, encrypted (Fernet) like the address: it is of no use to"
        " who reads a queue, a log or a dead letter."
    ),
]


class AboutAccount(Event, subject="request_id"):
    """The base of the events about an account that happen more than once: each has a subject of its own."""

    request_id: Annotated[UUID, Field(description="This event; also the CloudEvents subject.")]
    user_id: Annotated[UUID, Field(description="The account.")]
    contact: Contact = None

    @property
    def about(self) -> UUID:
        return self.user_id


class PasswordResetRequested(AboutAccount, type="user.password_reset_requested", publisher="auth"):
    """Someone asked for a new password of the account; only who reads its mail can choose one."""

    token: MailedToken
    expires_at: Annotated[datetime, Field(description="When the token expires.")]


class ConfirmationRequested(AboutAccount, type="user.confirmation_requested", publisher="auth"):
    """The account asked for another mail by which to confirm its address."""

    token: MailedToken
    expires_at: Annotated[datetime, Field(description="When the token expires.")]


class PasswordChanged(AboutAccount, type="user.password_changed", publisher="auth"):
    """The account has a new password, and its other sessions have ended."""


class UserRegistered(Event, type="user.registered", publisher="auth", subject="user_id"):
    """An account was registered."""

    user_id: Annotated[UUID, Field(description="The new account; also the CloudEvents subject.")]
    contact: Contact = None
    token: Annotated[
        MailedToken | None,
        Field(description="By which to confirm the address, encrypted; absent from older releases."),
    ] = None
    expires_at: Annotated[datetime | None, Field(description="When the token expires.")] = None


class UserDeleted(Event, type="user.deleted", publisher="auth", subject="user_id"):
    """The account was deleted by its owner: nobody can log in to it any more, and its personal data is to be
    erased, in orders that are not over as soon as they are."""

    user_id: Annotated[UUID, Field(description="The account; also the CloudEvents subject.")]
    contact: Contact = None


class GuestMerged(Event, type="guest.merged", publisher="auth", subject="guest_id"):
    """A guest logged in: the guest's cart and orders now belong to the account."""

    guest_id: Annotated[UUID, Field(description="The guest; also the CloudEvents subject.")]
    user_id: Annotated[UUID, Field(description="The account.")]


class MailResendRequested(Event, type="mail.resend_requested", publisher="operator", subject="resend_id"):
    """An operator requests that a mail is sent again which was not delivered, or is in doubt. Each request
    has a subject of its own.
    """

    resend_id: Annotated[UUID, Field(description="This request; also the CloudEvents subject.")]
    subject_id: Annotated[UUID, Field(description="The order, or the account, that the mail is about.")]
    reason: Annotated[MailReason, Field(description="Which of the mails.")]

    @property
    def about(self) -> UUID:
        return self.subject_id


class OrderClaim(BaseModel):
    """The content of the claim link in a guest's receipt: the order that the link's holder may claim, with an
    account of the order's mail address.

    Notification issues it and order accepts it: a ticket whose key is derived from the contact key, which
    both have.
    """

    model_config = ConfigDict(frozen=True)

    order_id: UUID
