"""What payment is told, besides what every service is."""

from typing import Annotated

from pydantic import Field, SecretStr

from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.retention import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`stripe_api_base` is another address than Stripe's own: the sandbox's. Money that is held is given up
    `give_up_after` the order's deadline. A shopper whose bank asks has `action_minutes` to confirm, or until
    the order's deadline if that comes first; `action_key` seals the address of the bank's page for order. The
    provider's own lists are read, and compared with what is known here, about `reconcile_provider_every`.

    A payment that has ended is kept for `payment_keep_days` after its order was placed, 0 is for ever: longer
    than order's `return_days`, and by so much that a refund can be refused and fail in between.
    """

    stripe_api_key: SecretStr
    stripe_api_base: Annotated[str, Field(pattern=r"^https?://")] | None = None
    stripe_webhook_secret: Annotated[SecretStr, Field(min_length=8)]

    action_key: EncryptionKeys
    action_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 10

    # A call takes three requests at most.
    stripe_timeout: Annotated[float, Field(gt=0, le=10)] = 10
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_reset: Seconds = 5

    webhook_tolerance: Annotated[int, Field(ge=1)] = 300
    webhook_linger: Seconds = 1
    webhook_keep_days: Annotated[int, Field(ge=4)] = 7

    sweep_every: Seconds = 300
    sweep_batch: Annotated[int, Field(ge=1)] = 100
    overdue_after: Seconds = 3600
    give_up_after: Seconds = 300
    payment_keep_days: KeepDays = 730
    reconcile_provider_every: Seconds = 86_400
    refund_attempts: Annotated[int, Field(ge=1)] = 5
