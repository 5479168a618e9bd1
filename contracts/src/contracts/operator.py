"""The events by which an operator has a stuck saga go on, or a mail sent again."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.order import AboutOrder

MailReason = Literal["receipt", "cancellation", "refund", "welcome"]


class SagaNudged(AboutOrder, type="saga.nudged", publisher="operator", subject="nudge_id"):
    """The order's saga is stuck: services republish their events about it that are still true.

    Published by an operator, or by a service that has waited too long for an event. Each nudge has a subject
    of its own.
    """

    nudge_id: Annotated[UUID, Field(description="This nudge; also the CloudEvents subject.")]


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
