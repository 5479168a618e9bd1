"""With deploy/compose.tls.yml servers listen for TLS alone, and every client verifies them."""

from typing import Any

import pytest

from shop.targets import SERVICES
from tests.compose.conftest import ROOT, TLS, merged, read

CA_FILE = "/run/secrets/ca.pem"


@pytest.fixture(scope="module")
def services() -> Any:
    return merged(read("docker-compose.yml"), read(TLS))["services"]


def settings(file: str) -> dict[str, str]:
    """The lines of a file of RabbitMQ's."""
    lines = (ROOT / "deploy/rabbitmq" / file).read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def options(command: list[str]) -> dict[str, str]:
    return dict(option.split("=", 1) for option in command if "=" in option)


def test_postgres_takes_logins_over_the_network_by_tls_alone(services: Any) -> None:
    given = options(services["postgres"]["command"])
    assert given["ssl"] == "on"
    mounted = [mount for mount in services["postgres"]["volumes"] if given["hba_file"] in mount]
    assert mounted == [f"./deploy/postgres/pg_hba.tls.conf:{given['hba_file']}:ro"]
    lines = (ROOT / "deploy/postgres/pg_hba.tls.conf").read_text().splitlines()
    assert {line.split()[0] for line in lines if not line.startswith("#")} == {"local", "hostssl"}


def test_postgres_runs_as_without_tls_otherwise(services: Any) -> None:
    base = options(read("docker-compose.yml")["services"]["postgres"]["command"])
    assert base.items() <= options(services["postgres"]["command"]).items()


def test_rabbitmq_has_no_listener_without_tls(services: Any) -> None:
    tls = settings("tls.conf")
    plain = {name: value for name, value in (settings("rabbitmq.conf") | tls).items() if ".tcp" in name}
    assert plain == {"listeners.tcp": "none", "prometheus.tcp.listener": "none"}
    ports = {port.rpartition(":")[2] for port in services["rabbitmq"]["ports"]}
    assert ports == {tls["listeners.ssl.default"], tls["management.ssl.port"]} == {"5671", "15671"}
    assert all(port in str(services["rabbitmq"]["healthcheck"]["test"]) for port in ports)


def test_the_mail_server_takes_no_mail_without_starttls(services: Any) -> None:
    assert services["mailpit"]["environment"]["MP_SMTP_REQUIRE_STARTTLS"] == "true"
    assert services["notification-worker"]["environment"]["SMTP_TLS"] == "starttls"


def test_every_client_verifies_its_servers(services: Any) -> None:
    clients = {"DATABASE_URL": set[str](), "AMQP_URL": set[str]()}
    for name, service in services.items():
        environment = service.get("environment", {})
        for prefix in ("", "SHOP_"):
            for kind, found in clients.items():
                if address := environment.get(f"{prefix}{kind}"):
                    ca_file = environment[f"{prefix}{kind.removesuffix('URL')}CA_FILE"]
                    assert ca_file == (CA_FILE if name != "databases" else "/secrets/vault/ca.pem")
                    assert address.startswith(("postgresql", "amqps:"))
                    found.add(name)
        assert environment.get("SHOP_MANAGEMENT_URL", "https:").startswith("https:")
    runs = {name for name in services if name.endswith(("-api", "-worker"))}
    assert clients["AMQP_URL"] == runs | {"monitor", "shop"}
    migrations = {f"{service}-migrate" for service in SERVICES}
    assert clients["DATABASE_URL"] == runs | migrations | {"databases", "shop"}
    assert services["notification-worker"]["environment"]["SMTP_CA_FILE"] == CA_FILE
    assert services["kong"]["environment"]["KONG_LUA_SSL_TRUSTED_CERTIFICATE"] == f"system,{CA_FILE}"
