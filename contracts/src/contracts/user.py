"""The events about accounts, and the link by which an account claims a guest's order."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.order import Contact

CLAIM_PURPOSE = "claim a guest's order"


class UserRegistered(Event, type="user.registered", publisher="auth", subject="user_id"):
    """An account was registered."""

    user_id: Annotated[UUID, Field(description="The new account; also the CloudEvents subject.")]
    contact: Contact = None


class GuestMerged(Event, type="guest.merged", publisher="auth", subject="guest_id"):
    """A guest logged in: the guest's cart and orders now belong to the account."""

    guest_id: Annotated[UUID, Field(description="The guest; also the CloudEvents subject.")]
    user_id: Annotated[UUID, Field(description="The account.")]


class OrderClaim(BaseModel):
    """The content of the claim link in a guest's receipt: the order that the link's holder may claim, with an
    account of the order's mail address.

    Notification issues it and order accepts it: a ticket whose key is derived from the contact key, which
    both have.
    """

    model_config = ConfigDict(frozen=True)

    order_id: UUID
