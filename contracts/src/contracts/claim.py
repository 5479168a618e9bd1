"""What the link in a guest's receipt holds: notification, which writes the mail, makes it, and order honours
it. It is a ticket, with a key derived from the contact key, which both have."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

CLAIM_PURPOSE = "claim a guest's order"


class OrderClaim(BaseModel):
    """The order that whoever has the link, and an account with the order's address, may claim."""

    model_config = ConfigDict(frozen=True)

    order_id: UUID
