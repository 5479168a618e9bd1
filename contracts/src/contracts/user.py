"""The events about accounts, and the link by which an account claims a guest's order."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.order import Contact

CLAIM_PURPOSE = "claim a guest's order"


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


class OrderClaim(BaseModel):
    """The content of the claim link in a guest's receipt: the order that the link's holder may claim, with an
    account of the order's mail address.

    Notification issues it and order accepts it: a ticket whose key is derived from the contact key, which
    both have.
    """

    model_config = ConfigDict(frozen=True)

    order_id: UUID
