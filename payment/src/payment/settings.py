"""Payment's settings, besides those of every service."""

from typing import Annotated

from pydantic import Field, SecretStr

from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.jobs import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`stripe_api_base`: another address than Stripe's own, such as the sandbox's. `give_up_after`: how long
    after the order's deadline an authorization is released. `action_minutes`: how long a shopper has to
    confirm with her bank, unless the order's deadline is earlier. `action_key`: encrypts the address of the
    bank's page for order. After `breaker_failures` failed calls in a row the circuit opens for
    `breaker_reset` seconds. `webhook_tolerance`: how old an event may be. `webhook_linger`: for how long
    echoes of the shop's own calls are gathered. `reconcile_provider_every`: how often the provider's lists
    are compared with the database.

    `payment_keep_days`: how long an ended payment is kept after its order was placed, 0 for ever. It has to
    exceed order's `return_days` by the time in which a refund may be refused and fail.
    """

    stripe_api_key: SecretStr
    stripe_api_base: Annotated[str, Field(pattern=r"^https?://")] | None = None
    stripe_webhook_secret: Annotated[SecretStr, Field(min_length=8)]

    action_key: EncryptionKeys
    action_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 10

    # For one request: a call that moves money takes three at most, one that looks something up more.
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
