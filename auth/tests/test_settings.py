"""What auth refuses to start with."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from auth.settings import Settings

from .conftest import CONTACT_KEY


def settings(keys: Path, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": "postgresql+asyncpg://auth@/auth",
        "amqp_url": "amqp://auth@localhost/",
        "jwks_url": "http://localhost/.well-known/jwks.json",
        "token_issuer": "saga-shop",
        "token_audience": "saga-shop",
        "signing_keys_file": keys,
        "contact_key": CONTACT_KEY,
    }
    return Settings(**given | changed)


def test_secrets_do_not_show(signing_keys_file: Path) -> None:
    shown = repr(settings(signing_keys_file, admin_email="root@example.com", admin_password="a long secret"))
    assert CONTACT_KEY not in shown
    assert "a long secret" not in shown


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"signing_keys_file": Path("/nowhere.json")}, "cannot read"),
        ({"contact_key": "no key"}, "Fernet"),
        ({"admin_email": "root"}, "@-sign"),
        ({"access_seconds": 0}, "greater than 0"),
    ],
)
def test_a_bad_setting_is_named_before_anything_starts(
    signing_keys_file: Path, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        settings(signing_keys_file, **changed)
    assert [error["loc"] for error in refused.value.errors()] == [(next(iter(changed)),)]
