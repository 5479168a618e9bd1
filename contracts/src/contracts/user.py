"""The events about accounts."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.order import Contact


class UserRegistered(Event):
    """An account was registered."""

    type: ClassVar[str] = "user.registered"
    publisher: ClassVar[str] = "auth"

    user_id: Annotated[UUID, Field(description="The new account; also the CloudEvents subject.")]
    contact: Contact = None

    @property
    def subject(self) -> UUID:
        return self.user_id


class GuestMerged(Event):
    """A guest logged in: the guest's cart and orders now belong to the account."""

    type: ClassVar[str] = "guest.merged"
    publisher: ClassVar[str] = "auth"

    guest_id: Annotated[UUID, Field(description="The guest; also the CloudEvents subject.")]
    user_id: Annotated[UUID, Field(description="The account.")]

    @property
    def subject(self) -> UUID:
        return self.guest_id
