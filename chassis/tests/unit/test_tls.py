"""The settings of TLS: a CA file always means that the server is verified."""

import os
import ssl

import pytest
from sqlalchemy import make_url

from chassis.runtime.settings import DatabaseSettings, ServiceSettings, load
from chassis.tls import split_database_url
from shop.provision import certificates

DATABASE = "postgresql+asyncpg://order:pw@postgres/order"
GIVEN = {
    "DATABASE_URL": DATABASE,
    "AMQP_URL": "amqps://order:pw@one/,amqps://order:pw@two:5673/%2F",
    "JWKS_URL": "https://auth/jwks.json",
    "TOKEN_ISSUER": "saga-shop",
    "TOKEN_AUDIENCE": "saga-shop",
}


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    vault = tmp_path_factory.mktemp("vault")
    certificates.provide(vault, "postgres", ["postgres"])
    return str(vault / "ca.pem")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as refused:
        load(ServiceSettings)
    assert refused.value.code == os.EX_CONFIG
    return capsys.readouterr().err


def test_the_database_is_verified_with_its_host_name(environment: pytest.MonkeyPatch, ca_file: str) -> None:
    environment.setenv("DATABASE_CA_FILE", ca_file)

    address, arguments = split_database_url(load(ServiceSettings).database_url)

    assert address == make_url(DATABASE)
    context = arguments["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "Saga Shop CA"),),)]


def test_without_a_ca_file_the_addresses_are_as_they_were_given() -> None:
    settings = load(ServiceSettings)

    assert split_database_url(settings.database_url) == (make_url(DATABASE), {})
    assert settings.amqp_url == GIVEN["AMQP_URL"]


def test_every_node_of_the_broker_is_verified(environment: pytest.MonkeyPatch, ca_file: str) -> None:
    environment.setenv("AMQP_CA_FILE", ca_file)

    assert load(ServiceSettings).amqp_url == (
        f"amqps://order:pw@one/?cafile={ca_file},amqps://order:pw@two:5673/%2F?cafile={ca_file}"
    )


def test_settings_that_were_completed_once_stay_as_they_are(
    environment: pytest.MonkeyPatch, ca_file: str
) -> None:
    for name in ("DATABASE_CA_FILE", "AMQP_CA_FILE"):
        environment.setenv(name, ca_file)
    settings = load(ServiceSettings)
    for name in ("database_url", "amqp_url"):
        environment.setenv(name.upper(), getattr(settings, name))

    assert load(ServiceSettings) == settings


def test_migrations_have_a_ca_file_for_each_service(environment: pytest.MonkeyPatch, ca_file: str) -> None:
    environment.setenv("ORDER_DATABASE_URL", DATABASE)
    environment.setenv("ORDER_DATABASE_CA_FILE", ca_file)

    assert load(DatabaseSettings, prefix="ORDER_").database_url.startswith(f"{DATABASE}?sslmode=verify-full")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("AMQP_URL", "amqp://order@one/", "AMQP_URL: must begin with amqps://"),
        ("AMQP_URL", "amqps://order@one/,amqp://order@two/", "AMQP_URL: must begin with amqps://"),
        ("AMQP_URL", "amqps://order@one/?no_verify_ssl=1", "AMQP_URL: asks for TLS that is not verified"),
        ("AMQP_URL", "amqps://order@one/?cafile=/other", "AMQP_URL: names a CA file"),
        ("DATABASE_URL", f"{DATABASE}?ssl=require", "DATABASE_URL: asks for TLS that is not verified"),
        ("DATABASE_URL", f"{DATABASE}?sslmode=verify-ca", "DATABASE_URL: asks for TLS that is not verified"),
        ("DATABASE_URL", f"{DATABASE}?sslrootcert=/other", "DATABASE_URL: names a CA file"),
        ("DATABASE_URL", "postgresql+asyncpg:///order?host=/run", "DATABASE_URL: names no host"),
        ("DATABASE_CA_FILE", "/nowhere", "DATABASE_CA_FILE: cannot read /nowhere: No such file"),
        ("AMQP_CA_FILE", "/dev/null", "AMQP_CA_FILE: /dev/null holds no certificate"),
    ],
)
def test_a_setting_that_would_leave_a_server_unverified_is_refused(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ca_file: str,
    name: str,
    value: str,
    error: str,
) -> None:
    for setting in ("DATABASE_CA_FILE", "AMQP_CA_FILE"):
        environment.setenv(setting, ca_file)
    environment.setenv(name, value)

    assert refusal(capsys).startswith(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AMQP_URL", "amqps://order@one/?no_verify_ssl=1"), ("DATABASE_URL", f"{DATABASE}?ssl=require")],
)
def test_tls_without_verification_is_refused_also_without_a_ca_file(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    environment.setenv(name, value)

    assert refusal(capsys).startswith(f"{name}: asks for TLS that is not verified")
