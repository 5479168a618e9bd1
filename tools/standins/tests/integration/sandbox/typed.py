"""The types of the fixtures that are functions."""

from collections.abc import Callable
from typing import Any, Protocol

import stripe

from standins.sandbox.embedded import Embedded

KEY = "sk_test_sandbox"


class Start(Protocol):
    """Starts a sandbox, with other settings than the usual ones if need be."""

    async def __call__(self, *clock: Callable[[], float], **changes: Any) -> Embedded: ...


class Connect(Protocol):
    """Gives an SDK client that does not retry by itself."""

    def __call__(
        self, sandbox: Embedded | str, timeout: float = 5, key: str = KEY
    ) -> stripe.StripeClient: ...


class Hold(Protocol):
    """Authorizes as a shop does: the money is held, under a key that belongs to the order."""

    async def __call__(
        self, client: stripe.StripeClient, order: str = "order-1", card: str = "pm_card_visa", **changes: Any
    ) -> stripe.PaymentIntent: ...
