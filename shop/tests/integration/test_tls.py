"""The operator's commands reach PostgreSQL and RabbitMQ by TLS, and only those that a CA file vouches for."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from shop.cli import app
from shop.errors import ShopError
from shop.http import Management, management
from shop.provision import broker, certificates, databases
from shop.remote import RemoteTarget, remote_settings

from .conftest import Tell


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's certificate is for 127.0.0.1, and not for localhost."""
    folder = tmp_path_factory.mktemp("vault")
    certificates.provide(folder, "server", ["127.0.0.1"])
    return folder


@pytest.fixture(scope="module")
def ca_file(vault: Path) -> str:
    return str(vault / "ca.pem")


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("other")
    certificates.provide(folder, "server", ["127.0.0.1"])
    return str(folder / "ca.pem")


class Api(BaseHTTPRequestHandler):
    """RabbitMQ's management API, as far as it says who asks."""

    def do_GET(self) -> None:
        body = json.dumps({"name": "operator"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def api(vault: Path) -> Iterator[str]:
    """The URL of a management API with TLS."""
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(vault / "server.pem", vault / "server-key.pem")
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def test_a_ca_file_is_in_the_addresses_of_all_that_the_operator_opens(tell: Tell, ca_file: str) -> None:
    tell(
        AMQP_URL="amqps://operator:pw@rabbitmq/",
        AMQP_CA_FILE=ca_file,
        DATABASE_URL="postgresql://operator:pw@postgres/postgres",
        DATABASE_CA_FILE=ca_file,
    )
    target = RemoteTarget(remote_settings())
    assert target.operator_amqp_url == f"amqps://operator:pw@rabbitmq/?cafile={ca_file}"
    assert target.operator_dsn("order") == (
        f"postgresql://operator:pw@postgres/order?sslmode=verify-full&sslrootcert={ca_file}"
    )


def test_a_ca_file_without_tls_is_refused(
    tell: Tell, ca_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(AMQP_URL="amqp://operator:pw@rabbitmq/", AMQP_CA_FILE=ca_file)
    with pytest.raises(SystemExit):
        remote_settings()
    assert capsys.readouterr().err.startswith("SHOP_AMQP_URL: must begin with amqps://")


def test_the_printed_environment_names_the_ca_file_and_can_be_read_again(tell: Tell, ca_file: str) -> None:
    tell(URL="http://kong:8000", AMQP_URL="amqps://operator:pw@rabbitmq/", AMQP_CA_FILE=ca_file)
    printed = CliRunner().invoke(app, ["env"]).stdout
    assert f"export SHOP_AMQP_CA_FILE={ca_file}\n" in printed
    tell(AMQP_URL=RemoteTarget(remote_settings()).operator_amqp_url)
    assert CliRunner().invoke(app, ["env"]).stdout == printed


async def test_the_management_api_is_reached_by_tls(tell: Tell, api: str, ca_file: str) -> None:
    tell(MANAGEMENT_URL=api, AMQP_URL="amqps://operator:pw@rabbitmq/", AMQP_CA_FILE=ca_file)
    async with management(RemoteTarget(remote_settings())) as asked:
        assert await asked.get("whoami") == {"name": "operator"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_management_api_that_is_not_trusted_ends_provisioning_at_once(
    api: str, ca_file: str, other_ca: str, host: str
) -> None:
    trusted = other_ca if host == "127.0.0.1" else ca_file
    url = api.replace("127.0.0.1", host)
    async with Management(url, "operator", "pw", ca_file=trusted) as asked:
        with pytest.raises(ShopError, match=r"^RabbitMQ's certificate: .*; see SHOP_AMQP_CA_FILE$"):
            await broker.provide(asked, {}, str, timeout=60)


async def test_a_database_that_is_not_trusted_ends_provisioning_at_once() -> None:
    async def connect(_: str) -> asyncpg.Connection:
        error = ssl.SSLCertVerificationError()
        error.verify_message = "Hostname mismatch"
        raise error

    with pytest.raises(
        ShopError, match=r"^PostgreSQL's certificate: Hostname mismatch; see SHOP_DATABASE_CA"
    ):
        await databases.provide_when_up(connect, ["order"], str, timeout=60)
