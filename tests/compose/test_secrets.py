"""Each container of the compose file gets its own settings and secrets, and the file holds no secret."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.runtime.settings import DatabaseSettings, load
from shop.broker.checking import declared
from shop.http import operator_of
from shop.provision.secrets import VAULT
from shop.remote import RemoteSettings, RemoteTarget
from shop.targets import SERVICES
from standins.sandbox.settings import from_environment
from tests.compose.conftest import ROOT

MOUNTED = "/run/secrets"
PROVISION = {"databases", "definitions"}
# Operators' things are named for what they are, not for the container that reads them.
READERS = {"shop": "operator"}


def mounts(service: Any) -> dict[str, str]:
    """Where each named volume of secrets is mounted."""
    pairs = (mount.split(":") for mount in service.get("volumes", []))
    return {source: target for source, target, *_ in pairs if source == VAULT or "secrets" in source}


def reader(name: str) -> str:
    """Whose secrets a container reads."""
    return READERS.get(name, re.sub("-migrate$", "-owner", re.sub("-(api|worker)$", "", name)))


def test_each_container_mounts_one_readers_secrets_read_only(services: Any) -> None:
    for name, service in services.items():
        if name == "setup" or not mounts(service):
            continue
        expected = {VAULT: "/secrets/vault"} if name in PROVISION else {f"{reader(name)}-secrets": MOUNTED}
        assert mounts(service) == expected
        options = [m.split(":")[2] for m in service["volumes"] if m.split(":")[0] in expected]
        assert options == ["ro,nocopy"]


def test_setup_fills_a_volume_for_every_reader_and_the_image_has_its_folder(
    services: Any, handed: Path
) -> None:
    folders = {folder.name for folder in handed.iterdir()}
    filled = {target.removeprefix("/secrets/") for target in mounts(services["setup"]).values()}
    assert filled == folders
    dockerfile = (ROOT / "deploy/service.Dockerfile").read_text()
    lists = re.findall(r"for (?:service|reader) in ([\w ]+);", dockerfile)
    services_made, readers_made = (names.split() for names in lists)
    made = {VAULT, *readers_made, *services_made, *(f"{name}-owner" for name in services_made)}
    assert made == folders | {"mailpit"}  # which has secrets with TLS alone


def test_setup_reaches_nothing(services: Any) -> None:
    assert services["setup"]["network_mode"] == "none"


def test_the_compose_file_holds_no_secret(services: Any) -> None:
    for service in services.values():
        for variable, value in service.get("environment", {}).items():
            if not str(value).startswith(f"{MOUNTED}/"):
                assert not re.search(r"(PASSWORD|SECRET|(?<!PUBLISHABLE)_KEYS?)$", variable)
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value))


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_environment_and_secrets_are_complete(
    services: Any, handed: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = importlib.import_module(f"{service}.settings").Settings
    for name in (f"{service}-api", f"{service}-worker"):
        if name in services:
            variables = environment(services[name], handed / service)
            fields = {field.upper() for field in settings.model_fields}
            read = {name if name in fields else name.removesuffix("_FILE") for name in variables}
            assert read <= fields | {"SIGNING_KEYS"}
            with monkeypatch.context() as patch:
                alone(patch, variables)
                loaded = load(settings)
            assert f"{service}@" in loaded.database_url
            assert f"{service}@" in loaded.amqp_url
            assert loaded.database_password_file.path == handed / service / "database-password"
            assert loaded.amqp_password_file.path == handed / service / "amqp-password"


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_run_as_the_owner(
    services: Any, handed: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch, environment(services[f"{service}-migrate"], handed / f"{service}-owner"))
    settings = load(DatabaseSettings)
    assert settings.database_url.startswith(f"postgresql+asyncpg://{service}_owner@")
    assert settings.database_password_file is not None
    assert settings.database_password_file.path == handed / f"{service}-owner" / "database-password"


def test_the_sandbox_and_payment_are_given_the_same_key(services: Any, handed: Path) -> None:
    variables = environment(services["sandbox"], handed / "sandbox")
    assert from_environment(variables).api_key == (handed / "payment" / "stripe-api-key").read_text()


def test_kong_has_the_password_of_its_redis(handed: Path) -> None:
    password = (handed / "redis" / "redis.conf").read_text().split()[1]
    kong = yaml.safe_load((handed / "kong" / "kong.yml").read_text())
    found = [plugin["config"] for plugin in kong["plugins"] if plugin["name"] == "rate-limiting"]
    assert [config["redis"]["password"] for config in found] == [password]


def test_the_operator_gets_every_setting_except_how_to_stop_services(
    services: Any, handed: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch, environment(services["shop"], handed / "operator"))
    settings = load(RemoteSettings).model_dump()
    unset = {"stop", "start"} if tls else {"stop", "start", "amqp_ca_file", "database_ca_file"}
    assert {name for name, value in settings.items() if value is None} == unset


def test_the_monitor_gets_the_brokers_address_and_no_other_secret_of_the_operator(
    services: Any, handed: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"rabbitmq-password", "ca.pem"} if tls else {"rabbitmq-password"}
    assert {file.name for file in (handed / "monitor").iterdir()} == files
    alone(monkeypatch, environment(services["monitor"], handed / "monitor"))
    target = RemoteTarget(load(RemoteSettings))
    address = "https://rabbitmq:15671" if tls else "http://rabbitmq:15672"
    assert (target.management_url, operator_of(target)) == (address, "operator")
    assert declared(target)["queues"], "the image has the definitions beside it"


def environment(service: Any, folder: Path) -> dict[str, str]:
    """A container's environment, with its secrets where they are here and the file's own defaults."""
    found = {}
    for variable, value in service["environment"].items():
        filled, more = re.sub(r"\$\{\w+:\+[^${}]*\}", "", str(value)), 1
        while more:  # a default may have a default
            filled, more = re.subn(r"\$\{\w+:-([^${}]*)\}", r"\1", filled)
        found[variable] = filled.replace(MOUNTED, str(folder))
        if variable.endswith("_FILE"):
            assert Path(found[variable]).is_file()
    return found


def alone(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Nothing of our own environment is read."""
    for variable in ("SHOP_URL", "SHOP_STACK", "DATABASE_URL"):
        patch.delenv(variable, raising=False)
    for variable, value in variables.items():
        patch.setenv(variable, value)
