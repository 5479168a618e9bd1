"""Settings that auth refuses to start with."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from auth.keys import KeyFile
from auth.settings import Settings

from ..conftest import CONTACT_KEY


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


def test_signing_keys_may_be_given_without_a_file(signing_keys_file: Path) -> None:
    keys = signing_keys_file.read_text()
    given = settings(signing_keys_file, signing_keys_file=None, signing_keys=keys)
    assert given.read_signing_keys().current.published == KeyFile(signing_keys_file).current.published
    assert json.loads(keys)["keys"][0]["d"] not in repr(given)


@pytest.mark.parametrize("given_as", [{"signing_keys_file": None}, {"signing_keys": "both"}])
def test_signing_keys_are_given_once(signing_keys_file: Path, given_as: dict[str, Any]) -> None:
    keys = {"both": signing_keys_file.read_text()}
    changed = {name: keys.get(value, value) for name, value in given_as.items()}
    with pytest.raises(ValidationError, match="SIGNING_KEYS_FILE or SIGNING_KEYS"):
        settings(signing_keys_file, **changed)
