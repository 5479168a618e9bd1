"""`shop provision`: what must exist before the services of a remote shop can start."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from shop.errors import ShopError
from shop.management import Management
from shop.provision import broker as the_broker
from shop.provision import databases as the_databases
from shop.provision.secrets import hand_out
from shop.remote import RemoteTarget, remote_settings
from shop.secrets import Secrets, role_secret
from shop.targets import OPERATOR, SERVICES

_IMPORT_SECONDS = 60.0

app = typer.Typer(help="Secrets, databases and the broker, for a remote shop.", no_args_is_help=True)

Vault = Annotated[
    Path,
    typer.Option("--secrets", envvar="SHOP_SECRETS", help="The folder `vault` of `provision secrets`."),
]
Patience = Annotated[float, typer.Option("--wait", min=0, help="Seconds for a server that is starting.")]


@app.command("secrets")
def provide_secrets(
    folder: Annotated[Path, typer.Argument(help="Holds them all in `vault`, and a folder for each reader.")],
    kong: Annotated[Path, typer.Option(help="The gateway's file, without keys.")] = Path(
        "deploy/kong/kong.yml"
    ),
    traces_endpoint: Annotated[
        str | None,
        typer.Option(envvar="SHOP_TRACES_ENDPOINT", help="Where the gateway sends traces (OTLP over HTTP)."),
    ] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option(envvar="CORS_ORIGINS", help="Whose pages may read the gateway's answers: origin,…"),
    ] = None,
) -> None:
    """Make the secrets that are missing, and give each reader its own. Those that are there stay."""
    written = hand_out(folder, kong, traces_endpoint, cors_origins)
    print(f"{len(written)} files written" if written else "nothing to do")


@app.command("databases")
def provide_databases(secrets: Vault, wait: Patience = 60) -> None:
    """Make each service's roles and database, as the superuser of SHOP_DATABASE_URL."""
    vault = Secrets(secrets)
    connect = the_databases.connecting(RemoteTarget(remote_settings()).operator_dsn)

    def password_of(role: str) -> str:
        return vault.held(role_secret(role))

    asyncio.run(the_databases.provide_when_up(connect, SERVICES, password_of, wait))
    print(f"databases: {', '.join(SERVICES)}")


@app.command("broker")
def provide_broker(
    secrets: Vault,
    definitions: Annotated[Path, typer.Option(help="The topology.")] = Path(
        "deploy/rabbitmq/definitions.json"
    ),
    wait: Patience = 60,
) -> None:
    """Bring the broker at SHOP_MANAGEMENT_URL to the topology and its users; messages stay."""
    target, vault = RemoteTarget(remote_settings()), Secrets(secrets)
    given = target.settings.amqp_password
    password = given.get_secret_value() if given else vault.held(f"rabbitmq-{OPERATOR}")
    asyncio.run(_provide_broker(target.management_url, password, _declared(definitions), vault, wait))
    print("the broker has the topology")


async def _provide_broker(
    url: str, password: str, declared: dict[str, Any], vault: Secrets, wait: float
) -> None:
    async with Management(url, OPERATOR, password, timeout=_IMPORT_SECONDS) as broker:
        await the_broker.provide(broker, declared, lambda user: vault.held(f"rabbitmq-{user}"), wait)


def _declared(file: Path) -> dict[str, Any]:
    try:
        declared: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ShopError(f"{file} cannot be read: {error}") from error
    return declared
