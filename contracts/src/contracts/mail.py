"""The event by which an operator requests that a mail is sent again."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts.event import Event

MailReason = Literal["receipt", "cancellation", "refund", "welcome"]


class MailResendRequested(Event):
    """An operator requests that a mail is sent again which was not delivered, or is in doubt. Each request
    has a subject of its own.
    """

    type: ClassVar[str] = "mail.resend_requested"
    publisher: ClassVar[str] = "operator"

    resend_id: Annotated[UUID, Field(description="This request; also the CloudEvents subject.")]
    subject_id: Annotated[UUID, Field(description="The order, or the account, that the mail is about.")]
    reason: Annotated[MailReason, Field(description="Which of the mails.")]

    @property
    def subject(self) -> UUID:
        return self.resend_id

    @property
    def about(self) -> UUID:
        return self.subject_id
