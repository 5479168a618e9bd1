"""`shop provision`: what must exist before the services of a remote shop can start."""

from pathlib import Path
from typing import Annotated

import typer

from shop.broker.checking import DEFINITIONS, declared
from shop.errors import ShopError
from shop.http import Management
from shop.provision import broker as the_broker
from shop.provision import databases as the_databases
from shop.provision.kong import Counters, render_file
from shop.provision.secrets import hand_out
from shop.remote import RemoteTarget, remote_settings
from shop.secrets import Secrets, role_secret
from shop.targets import OPERATOR, SERVICES
from shop.terminal import Commands

_IMPORT_SECONDS = 60.0

app = Commands("Secrets, databases and the broker, for a remote shop.")

Vault = Annotated[
    Path,
    typer.Option("--secrets", envvar="SHOP_SECRETS", help="The folder `vault` of `provision secrets`."),
]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds for a server that is starting.")]
Kong = Annotated[Path, typer.Option(help="The gateway's file, without keys.")]
TracesEndpoint = Annotated[
    str | None,
    typer.Option(envvar="SHOP_TRACES_ENDPOINT", help="Where the gateway sends traces (OTLP over HTTP)."),
]
CorsOrigins = Annotated[
    str | None,
    typer.Option(envvar="CORS_ORIGINS", help="Whose pages may read the gateway's answers: origin,…"),
]
HttpsOnly = Annotated[
    bool, typer.Option("--https-only", envvar="SHOP_HTTPS_ONLY", help="The gateway redirects HTTP to HTTPS.")
]
Hsts = Annotated[
    int | None,
    typer.Option(
        min=0,
        envvar="SHOP_HSTS",
        help="Seconds for which browsers then refuse HTTP: Strict-Transport-Security.",
    ),
]
_KONG = Path("deploy/kong/kong.yml")


@app.command("secrets")
def provide_secrets(
    folder: Annotated[Path, typer.Argument(help="Holds them all in `vault`, and a folder for each reader.")],
    kong: Kong = _KONG,
    traces_endpoint: TracesEndpoint = None,
    cors_origins: CorsOrigins = None,
    tls: Annotated[bool, typer.Option("--tls", help="Certificates for the servers, too.")] = False,
    https_only: HttpsOnly = False,
    hsts: Hsts = None,
    hostname: Annotated[
        str | None,
        typer.Option(envvar="SHOP_HOSTNAME", help="Of the gateway, for its certificate, besides localhost."),
    ] = None,
) -> None:
    """Make the secrets that are missing, and give each reader its own. Those that are there stay."""
    written = hand_out(
        folder,
        kong,
        hostname,
        traces_endpoint=traces_endpoint,
        cors_origins=cors_origins,
        https_only=https_only,
        hsts=hsts,
        tls=tls,
    )
    print(f"{len(written)} files written" if written else "nothing to do")


@app.command("kong")
def print_kong(
    keys: Annotated[Path, typer.Option(help="Auth's JWK set: only its public halves are printed.")],
    kong: Kong = _KONG,
    upstreams: Annotated[
        list[str] | None, typer.Option("--upstream", metavar="NAME=HOST:PORT", help="Repeatable.")
    ] = None,
    rate_factor: Annotated[float, typer.Option(help="Multiplies every rate limit.")] = 1,
    counters: Annotated[Counters, typer.Option(help="In redis, or in each gateway for itself.")] = "redis",
    redis: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="If not as the file has it.")] = None,
    redis_password_file: Path | None = None,
    redis_tls: Annotated[bool, typer.Option("--redis-tls", help="Speak TLS to redis.")] = False,
    traces_endpoint: TracesEndpoint = None,
    cors_origins: CorsOrigins = None,
    https_only: HttpsOnly = False,
    hsts: Hsts = None,
) -> None:
    """Print the gateway's file with auth's public keys, for a Kong that is started by hand."""
    try:
        password = redis_password_file.read_text().strip() if redis_password_file else None
        signing_keys = keys.read_text()
    except OSError as error:
        raise ShopError(f"{error.filename}: {error.strerror}") from error
    text = render_file(
        kong,
        signing_keys,
        upstreams=dict(upstream.partition("=")[::2] for upstream in upstreams or ()),
        rate_factor=rate_factor,
        counters=counters,
        redis=redis,
        redis_password=password,
        redis_tls=redis_tls,
        cors_origins=cors_origins,
        traces_endpoint=traces_endpoint,
        https_only=https_only,
        hsts=hsts,
    )
    print(text, end="")


@app.command("databases")
async def provide_databases(secrets: Vault, wait: Wait = 60) -> None:
    """Make each service's roles and database, as the superuser of SHOP_DATABASE_URL."""
    vault = Secrets(secrets)
    connect = the_databases.connecting(RemoteTarget(remote_settings()).operator_dsn)
    await the_databases.provide_when_up(
        connect, SERVICES, lambda role: vault.held_password(role_secret(role)), wait
    )
    print(f"databases: {', '.join(SERVICES)}")


@app.command("broker")
async def provide_broker(
    secrets: Vault,
    definitions: Annotated[Path, typer.Option(help="The topology.")] = DEFINITIONS,
    wait: Wait = 60,
) -> None:
    """Bring the broker at SHOP_MANAGEMENT_URL to the topology and its users; messages stay."""
    target, vault = RemoteTarget(remote_settings()), Secrets(secrets)
    given = target.settings.amqp_password
    password = given.get_secret_value() if given else vault.held_password(f"rabbitmq-{OPERATOR}")
    topology = declared(target, definitions)
    async with Management(
        target.management_url, OPERATOR, password, _IMPORT_SECONDS, target.settings.amqp_ca_file
    ) as broker:
        await the_broker.provide(broker, topology, lambda user: vault.held_password(f"rabbitmq-{user}"), wait)
    print("the broker has the topology")
