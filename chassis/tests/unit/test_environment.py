"""Settings from variables or files: which are accepted, which are rejected, and that no secret is printed."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from chassis.runtime.settings import DatabaseSettings, Environment, ServiceSettings, load, with_password

GIVEN = {
    "DATABASE_URL": "postgresql+asyncpg://order@postgres/order",
    "AMQP_URL": "amqp://order@one/,amqp://order@two:5673/%2F",
    "JWKS_URL": "http://auth/jwks.json",
    "TOKEN_ISSUER": "saga-shop",
    "TOKEN_AUDIENCE": "saga-shop",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(settings: type[Environment], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as refused:
        load(settings)
    assert refused.value.code == os.EX_CONFIG
    return capsys.readouterr().err


def test_a_password_is_put_into_the_url(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_PASSWORD", "p@ss/w:rd 100%")

    url = load(ServiceSettings).database_url

    assert url == "postgresql+asyncpg://order:p%40ss%2Fw%3Ard%20100%25@postgres/order"


@pytest.mark.parametrize("name", ["DATABASE", "AMQP"])
def test_a_file_of_a_password_is_read_whenever_it_is_needed(
    environment: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "password").write_text("first\n")
    environment.setenv(f"{name}_PASSWORD_FILE", str(tmp_path / "password"))

    settings = load(ServiceSettings)
    file = getattr(settings, f"{name.lower()}_password_file")
    (tmp_path / "password").write_text("second\nfirst\n")

    assert getattr(settings, f"{name.lower()}_url") == GIVEN[f"{name}_URL"]
    assert file.read() == ("second", "first")


def test_a_password_is_put_into_every_node_of_the_broker(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AMQP_PASSWORD", "hunter2")
    assert load(ServiceSettings).amqp_url == "amqp://order:hunter2@one/,amqp://order:hunter2@two:5673/%2F"


def test_any_setting_can_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("8123\n")
    environment.setenv("PORT_FILE", str(tmp_path / "port"))
    assert load(ServiceSettings).port == 8123


def test_only_one_newline_ends_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "audience").write_text(" saga-shop \n\n")
    environment.delenv("TOKEN_AUDIENCE")
    environment.setenv("TOKEN_AUDIENCE_FILE", str(tmp_path / "audience"))
    assert load(ServiceSettings).token_audience == " saga-shop \n"


def test_a_prefix_applies_to_files_too(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    environment.setenv("ORDER_DATABASE_URL", "postgresql+asyncpg://order_owner@/order?host=/run/postgres")
    environment.setenv("ORDER_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))

    settings = load(DatabaseSettings, prefix="ORDER_")

    assert settings.database_url == "postgresql+asyncpg://order_owner@/order?host=/run/postgres"
    assert settings.database_password_file is not None
    assert settings.database_password_file.read() == ("hunter2",)


@pytest.mark.parametrize("name", ["DATABASE_PASSWORD", "TOKEN_ISSUER"])
@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * (1024 * 1024 + 1)])
def test_a_file_without_a_value_is_named_in_one_line(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    name: str,
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    environment.delenv(name, raising=False)
    environment.setenv(f"{name}_FILE", str(file))

    error = refusal(ServiceSettings, capsys)

    assert error.startswith(f"{name}_FILE: ")
    assert str(file) in error
    assert error.count("\n") == 1


def test_a_setting_given_twice_is_rejected(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("one")
    environment.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    environment.setenv("DATABASE_PASSWORD", "two")
    assert "DATABASE_PASSWORD is given as well" in refusal(ServiceSettings, capsys)


@pytest.mark.parametrize(
    ("url", "why"),
    [("amqp://order:old@broker/", "has a password"), ("amqp://broker/", "names no user")],
)
@pytest.mark.parametrize("apart", ["AMQP_PASSWORD", "AMQP_PASSWORD_FILE"])
def test_a_password_that_the_url_cannot_take_is_rejected(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    why: str,
    apart: str,
) -> None:
    environment.setenv("AMQP_URL", url)
    if apart == "AMQP_PASSWORD_FILE":
        (tmp_path / "password").write_text("hunter2")
        environment.setenv(apart, str(tmp_path / "password"))
    else:
        environment.setenv(apart, "hunter2")

    error = refusal(ServiceSettings, capsys)

    assert error.startswith("AMQP_URL: ")
    assert why in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "DATABASE_PASSWORD", "AMQP_URL", "AMQP_PASSWORD", "JWKS_URL", "PORT"]
)
def test_an_error_does_not_quote_the_value(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    environment.setenv("DATABASE_URL", "mysql://root:hunter2@host")
    environment.setenv(name, "mysql://root:hunter2@host")
    with pytest.raises(ValidationError) as refused:
        ServiceSettings()
    assert "hunter2" not in str(refused.value) + refusal(ServiceSettings, capsys)


def test_settings_do_not_show_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_PASSWORD", "hunter2")
    environment.setenv("AMQP_PASSWORD", "hunter2")
    settings = load(ServiceSettings)
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://order@/order?host=/run/postgres",
        "postgresql://order@one:5432,two:5432/order",
        "amqps://order@[::1]:5671/a%2Fb?name=x#y",
    ],
)
def test_the_rest_of_a_url_is_unchanged(url: str) -> None:
    completed = with_password(url, SecretStr("hunter2"))
    assert completed.replace(":hunter2@", "@") == url


def test_without_a_separate_password_urls_are_unchanged() -> None:
    settings = load(ServiceSettings)
    assert settings.database_url == GIVEN["DATABASE_URL"]
    assert settings.amqp_url == GIVEN["AMQP_URL"]
