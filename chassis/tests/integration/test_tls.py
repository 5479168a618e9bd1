"""Connections by TLS to PostgreSQL and RabbitMQ: only a server that the CA file vouches for is used."""

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url, text

from chassis import migrate
from chassis.messaging import broker
from chassis.runtime.service import health_routes
from chassis.runtime.wakeup import CHANNEL, listen
from chassis.storage import database
from chassis.tls import UntrustedServer, verified_amqp_url, verified_database_url
from devstack import rabbitmq as node
from devstack.ports import free_base
from devstack.testing.broker import Broker
from shop.provision import certificates

_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # PostgreSQL's documentation, "Message Formats"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's certificate is for 127.0.0.1, and not for localhost."""
    folder = tmp_path_factory.mktemp("vault")
    certificates.provide(folder, "server", ["127.0.0.1"])
    return folder


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("other")
    certificates.provide(folder, "server", ["127.0.0.1"])
    return str(folder / "ca.pem")


@dataclass
class Postgres:
    """PostgreSQL with TLS: the real one behind a server that decrypts for it. `received` counts the bytes
    that came through TLS, `plain` those that came without."""

    url: str
    received: int = 0
    plain: int = 0

    def at(self, host: str, ca_file: Path | str) -> str:
        url = make_url(self.url).set(host=host).render_as_string(hide_password=False)
        return verified_database_url(url, str(ca_file))


@asynccontextmanager
async def serving(socket_url: str, certificate: ssl.SSLContext | None) -> AsyncIterator[Postgres]:
    parsed = make_url(socket_url)
    socket = f"{parsed.query['host']}/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readexactly(8) == _SSL_REQUEST
            writer.write(b"S" if certificate else b"N")
            if certificate is None:
                server.plain += len(await reader.read())
                return
            await writer.start_tls(certificate)
            near = await asyncio.open_unix_connection(socket)
            await asyncio.gather(_pass(reader, near[1], server), _pass(near[0], writer))
        except OSError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    tcp = parsed.set(host="127.0.0.1", port=port, query={})
    server = Postgres(tcp.render_as_string(hide_password=False))
    try:
        yield server
    finally:
        listening.close()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Postgres | None = None
) -> None:
    while data := await reader.read(65536):
        if server is not None:
            server.received += len(data)
        writer.write(data)
    writer.close()


@pytest.fixture
async def secure(postgres: str, vault: Path) -> AsyncIterator[Postgres]:
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(vault / "server.pem", vault / "server-key.pem")
    async with serving(postgres, certificate) as server:
        yield server


async def ready(url: str) -> object:
    """What `/readyz` says about the database."""
    engine = database.connect(url, pool_size=2, statement_timeout=5)
    app = FastAPI()
    app.include_router(health_routes(engine, None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://order") as http:
        answer: object = (await http.get("/readyz")).json()["database"]
    await engine.dispose()
    return answer


async def test_the_database_is_used_through_tls(secure: Postgres, vault: Path) -> None:
    assert await ready(secure.at("127.0.0.1", vault / "ca.pem")) == "ok"
    assert secure.received


async def test_another_ca_s_database_is_not_trusted(secure: Postgres, other_ca: str) -> None:
    answer = await ready(secure.at("127.0.0.1", other_ca))
    assert answer == "certificate not trusted: unable to get local issuer certificate; see DATABASE_CA_FILE"
    assert not secure.received


async def test_a_database_under_another_host_name_is_not_trusted(secure: Postgres, vault: Path) -> None:
    answer = str(await ready(secure.at("localhost", vault / "ca.pem")))
    assert answer.startswith("certificate not trusted: Hostname mismatch")
    assert not secure.received


async def test_a_database_without_tls_gets_no_password(postgres: str, vault: Path) -> None:
    async with serving(postgres, None) as server:
        assert await ready(server.at("127.0.0.1", vault / "ca.pem")) == "ConnectionError"
        assert not server.plain


async def test_notifications_arrive_through_tls(secure: Postgres, vault: Path) -> None:
    engine = database.connect(secure.at("127.0.0.1", vault / "ca.pem"), pool_size=2, statement_timeout=5)
    woken = asyncio.Event()
    listening = asyncio.create_task(listen(engine, woken.set))
    async with asyncio.timeout(20), engine.connect() as connection:
        await woken.wait()  # as it does when it has connected
        woken.clear()
        while not woken.is_set():
            await connection.execute(text(f"NOTIFY {CHANNEL}"))
            await connection.commit()
            await asyncio.sleep(0.05)
    listening.cancel()
    await asyncio.wait([listening])
    await engine.dispose()


async def test_a_migration_of_another_ca_s_database_ends_in_one_line(
    secure: Postgres, other_ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDER_DATABASE_URL", secure.url)
    monkeypatch.setenv("ORDER_DATABASE_CA_FILE", other_ca)
    monkeypatch.setattr("sys.argv", ["migrate", "order"])
    with pytest.raises(SystemExit, match=r"^migrate: order: PostgreSQL's certificate: .*DATABASE_CA_FILE$"):
        await asyncio.to_thread(migrate.main)


@pytest.fixture
def amqps(rabbitmq: Broker, vault: Path) -> str:
    """The URL of a listener for TLS, which the broker has until the session's end."""
    port = free_base()
    options = f'[{{certfile,"{vault}/server.pem"}},{{keyfile,"{vault}/server-key.pem"}}]'
    start = (
        "rabbit_networking:ensure_ssl(), rabbit_networking:start_ssl_listener("
        f'{{"127.0.0.1", {port}}}, {options}, 1).'
    )
    control = str(node.server_script().with_name("rabbitmqctl"))
    environment = {"PATH": os.environ["PATH"], **node.environment(rabbitmq.stack)}
    command = [control, "-q", "-n", node.node_name(rabbitmq.stack), "eval", start]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30)
    parts = urlsplit(rabbitmq.url)
    login, _, host = parts.netloc.rpartition("@")
    return parts._replace(scheme="amqps", netloc=f"{login}@{host.rpartition(':')[0]}:{port}").geturl()


async def test_only_a_trusted_broker_is_used(
    amqps: str, vault: Path, other_ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await broker.connect(verified_amqp_url(amqps, str(vault / "ca.pem")), "tests", timeout=5)
    await broker.Publisher(connection, window=1, timeout=5).check("amq.topic")
    await connection.close()

    elsewhere = amqps.replace("127.0.0.1", "localhost")
    for url, ca_file, reason in (
        (amqps, other_ca, "unable to get local issuer certificate"),
        (elsewhere, str(vault / "ca.pem"), "Hostname mismatch"),
    ):
        async with asyncio.timeout(10):  # at once, whatever the broker's patience
            with pytest.raises(UntrustedServer, match=f"{reason}.*AMQP_CA_FILE"):
                await broker.connect(verified_amqp_url(url, ca_file), "tests", timeout=5, startup_timeout=60)
