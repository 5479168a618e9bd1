"""Settings that notification refuses to start with."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from notification.settings import Settings


def settings(**changed: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": "postgresql+asyncpg://notification@/notification",
        "amqp_url": "amqp://notification@localhost/",
        "jwks_url": "http://localhost/.well-known/jwks.json",
        "token_issuer": "saga-shop",
        "token_audience": "saga-shop",
        "contact_key": Fernet.generate_key().decode(),
        "mail_from": "Saga Shop <shop@example.com>",
        "smtp_host": "localhost",
    }
    return Settings(**given | changed)


def test_several_contact_keys_may_be_given() -> None:
    keys = ",".join(Fernet.generate_key().decode() for _ in range(2))
    assert settings(contact_key=keys).contact_key.get_secret_value() == keys


@pytest.mark.parametrize(
    "changed",
    [
        {"contact_key": "no key"},
        {"mail_from": "Saga Shop"},
        {"mail_from": "Saga Shop <shop>, Eve <eve>"},
        {"smtp_timeout": 0},
        {"recipient_mails_per_hour": 0},
        {"order_link": "https://example.com/orders"},
        {"order_link": "example.com/{number}"},
        {"order_link": "https://example.com/{order}"},
        {"claim_link": "https://example.com/claim"},
        {"claim_link": "https://example.com/claim#{number}"},
        {"claim_link_days": 0},
        {"kept_mail_keep_days": -1},
        {"smtp_tls": "perhaps"},
    ],
)
def test_a_bad_setting_is_named_before_anything_starts(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**changed)
    assert [error["loc"] for error in refused.value.errors()] == [(next(iter(changed)),)]


def test_the_seller_is_a_name_lines_of_an_address_and_a_vat_id() -> None:
    seller = settings(
        seller_name="Saga Shop Ltd", seller_address="2 High Street | Leeds|", seller_vat_id="GB1"
    ).seller()
    assert (seller.lines, seller.vat_id) == (("Saga Shop Ltd", "2 High Street", "Leeds"), "GB1")
