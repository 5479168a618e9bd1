"""The content of the claim link in a guest's receipt. Notification issues it and order accepts it: a ticket
whose key is derived from the contact key, which both have."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

CLAIM_PURPOSE = "claim a guest's order"


class OrderClaim(BaseModel):
    """The order that the link's holder may claim, with an account of the order's mail address."""

    model_config = ConfigDict(frozen=True)

    order_id: UUID
