"""What auth says of accounts."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.order import Contact


class UserRegistered(Event):
    """Somebody opened an account."""

    type: ClassVar[str] = "user.registered"
    said_by: ClassVar[str] = "auth"

    user_id: Annotated[UUID, Field(description="The new account; also the CloudEvents subject.")]
    contact: Contact = None

    @property
    def subject(self) -> UUID:
        return self.user_id


class GuestMerged(Event):
    """A guest logged in: what the guest had collected belongs to the account now."""

    type: ClassVar[str] = "guest.merged"
    said_by: ClassVar[str] = "auth"

    guest_id: Annotated[UUID, Field(description="Who the shopper was; also the CloudEvents subject.")]
    user_id: Annotated[UUID, Field(description="Who the shopper is.")]

    @property
    def subject(self) -> UUID:
        return self.guest_id
