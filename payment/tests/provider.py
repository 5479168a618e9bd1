"""The client of the provider as tests make it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from payment.settings import Settings
from payment.stripe_client import StripeClient

KEY = "sk_test_payment"


def client(
    url: str | None = None,
    key: str = KEY,
    *,
    encrypt: Callable[[str], str] = str,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **changed: Any,
) -> StripeClient:
    """For the server at `url`, with these settings."""
    settings = Settings.model_construct(stripe_api_key=SecretStr(key), stripe_api_base=url, **changed)
    return StripeClient(settings, encrypt, clock)
