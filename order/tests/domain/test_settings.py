"""Settings that order refuses to start with."""

import pytest
from pydantic import ValidationError

from order.settings import Settings

from ..conftest import SETTINGS


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"order_keep_days": 89}, "order_keep_days must be 90 at least"),
        ({"timeline_keep_days": 1}, "timeline_keep_days must be 90 at least"),
        ({"return_days": 365}, "timeline_keep_days must be 425 at least"),
    ],
)
def test_nothing_that_a_return_needs_is_deleted(given: dict[str, int], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate(SETTINGS | given)


def test_zero_keeps_for_ever() -> None:
    forever = {"return_days": 3650, "order_keep_days": 0, "timeline_keep_days": 0}
    assert Settings.model_validate(SETTINGS | forever).return_days == 3650


def test_an_invalid_encryption_key_is_refused_at_startup() -> None:
    with pytest.raises(ValueError, match="Fernet"):
        Settings(
            database_url="postgresql+asyncpg://x",
            amqp_url="amqp://x",
            jwks_url="http://x",
            token_issuer="x",
            token_audience="x",
            product_url="http://x",
            cart_url="http://x",
            contact_key="short",
        )
