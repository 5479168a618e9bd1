"""What the process starts with, and what it refuses to start with."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from storefront.__main__ import CANNOT_START, main
from storefront.settings import Settings

KEY = Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("GATEWAY_URL", "SHOP_ORIGINS", "SESSION_KEY", "SESSION_KEY_FILE", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWAY_URL", "http://kong:8000")
    monkeypatch.setenv("SHOP_ORIGINS", "https://shop.example:443, http://localhost:8000")
    return monkeypatch


def test_the_key_may_be_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    environment.setenv("SESSION_KEY_FILE", str(tmp_path / "key"))
    assert Settings().session_key.get_secret_value() == KEY


def test_origins_are_written_as_browsers_send_them(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SESSION_KEY", KEY)
    assert Settings().origins == ("https://shop.example", "http://localhost:8000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("SESSION_KEY", "a-secret-that-is-no-key"),
        ("SESSION_KEY_FILE", "/nowhere/key"),
        ("SHOP_ORIGINS", "http://shop.example"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_no_secret(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    if name != "SESSION_KEY_FILE":
        environment.setenv("SESSION_KEY", KEY)
    environment.setenv(name, value)
    assert main() == CANNOT_START
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("storefront: ")
    assert name in line
    assert "a-secret" not in line
    assert KEY not in line
