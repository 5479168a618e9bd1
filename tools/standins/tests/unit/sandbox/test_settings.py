"""The sandbox's settings: secrets by variable or file, and what is wrong in one line."""

from pathlib import Path

import pytest

from standins.running import Misconfigured
from standins.sandbox.settings import from_environment

GIVEN = {"SANDBOX_API_KEY": "sk_test_key", "SANDBOX_JOURNAL": "/var/lib/sandbox.journal"}


def test_secrets_come_from_files(tmp_path: Path) -> None:
    key, signing = tmp_path / "key", tmp_path / "signing"
    key.write_text("sk_test_from_file\n")
    signing.write_text("whsec_from_file")
    files = {"SANDBOX_API_KEY_FILE": str(key), "SANDBOX_WEBHOOK_SECRET_FILE": str(signing)}

    settings = from_environment(
        files | {"SANDBOX_JOURNAL": "/journal", "SANDBOX_WEBHOOK_URL": "http://kong:8000/v1/webhooks/stripe"}
    )

    assert (settings.api_key, settings.webhook_secret) == ("sk_test_from_file", "whsec_from_file")
    assert "from_file" not in repr(settings)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Misconfigured, match=r"^SANDBOX_WEBHOOK_SECRET_FILE: "):
        from_environment(GIVEN | {"SANDBOX_WEBHOOK_SECRET_FILE": str(file)})


def test_a_secret_is_not_given_twice(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="SANDBOX_API_KEY is given as well"):
        from_environment(GIVEN | {"SANDBOX_API_KEY_FILE": str(tmp_path / "key")})


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        from_environment({**GIVEN, name: ""})


def test_webhooks_are_never_sent_unsigned() -> None:
    with pytest.raises(Misconfigured, match="unsigned"):
        from_environment(GIVEN | {"SANDBOX_WEBHOOK_URL": "http://localhost/"})
