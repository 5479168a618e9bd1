"""A shop that is not the stack on this machine: `SHOP_…` variables have its addresses and credentials."""

import shlex
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.runtime.settings import Environment, ca_in, load, password_in
from chassis.tls import CaFile, verified_amqp_url
from order.operations import NUDGE_DAYS
from shop.errors import ShopError
from shop.machine import last_line, run

PREFIX = "SHOP_"
COMMAND_SECONDS = 180
STRIPE = "https://api.stripe.com"

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/]+"), AfterValidator(lambda url: url.rstrip("/"))]
AmqpUrl = Annotated[
    str,
    Field(pattern=r"^amqps?://"),
    password_in("amqp_password"),
    AfterValidator(lambda url, given: verified_amqp_url(url, given.data["amqp_ca_file"])),
]
DatabaseUrl = Annotated[
    str, Field(pattern=r"^postgresql://"), password_in("database_password"), ca_in("database_ca_file")
]


class RemoteSettings(Environment):
    """Each command needs some of them. Users are the operator's. A restricted `stripe_api_key` is enough,
    if it can read payments, refunds and disputes.

    With `amqp_ca_file` and `database_ca_file` RabbitMQ and PostgreSQL are reached by TLS, and verified by
    these CAs; the former also verify RabbitMQ's management API.

    `tls_url` is where the shop answers over TLS beside `url`, for whom the variables are printed.

    `stop` and `start` are commands in which `{service}` is replaced by a service's name; `start` ends when
    the service answers.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    url: HttpUrl | None = None
    tls_url: HttpUrl | None = None
    sandbox_url: HttpUrl | None = None
    stripe_api_base: HttpUrl | None = None
    stripe_api_key: SecretStr | None = None
    mailbox_url: HttpUrl | None = None
    management_url: HttpUrl | None = None
    amqp_password: SecretStr | None = None  # before the URL that it is put into, like the next
    amqp_ca_file: CaFile | None = None
    amqp_url: AmqpUrl | None = Field(default=None, repr=False)
    database_password: SecretStr | None = None  # before the URL that it is put into, like the next
    database_ca_file: CaFile | None = None
    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    admin_email: str | None = None
    admin_password: SecretStr | None = None
    nudge_days: Annotated[int, Field(ge=1)] = NUDGE_DAYS
    stop: str | None = None
    start: str | None = None


def remote_settings(**given: str | None) -> RemoteSettings:
    """Read from the environment; `given` values take precedence. An invalid value is reported on stderr, and
    the process exits with 78."""
    return load(RemoteSettings, **{name: value for name, value in given.items() if value is not None})


class _Needed:
    """The value of a setting. Raises ShopError if it is not set."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, target: "RemoteTarget", owner: type["RemoteTarget"]) -> str:
        return target.need(self._name)


@dataclass(frozen=True)
class RemoteTarget:
    """A shop that is reached over the network (see `shop.targets.Target`)."""

    settings: RemoteSettings

    gateway_url = _Needed("url")
    sandbox_url = _Needed("sandbox_url")
    provider_key = _Needed("stripe_api_key")
    mailbox_url = _Needed("mailbox_url")
    management_url = _Needed("management_url")
    operator_amqp_url = _Needed("amqp_url")
    admin_email = _Needed("admin_email")
    admin_password = _Needed("admin_password")
    customers_secret = admin_password
    topology = None

    @property
    def provider_url(self) -> str:
        return self.settings.stripe_api_base or STRIPE

    @property
    def nudge_days(self) -> int:
        return self.settings.nudge_days

    def operator_dsn(self, database: str = "postgres") -> str:
        return urlsplit(self.need("database_url"))._replace(path=f"/{database}").geturl()

    async def stop(self, service: str) -> None:
        await self._run("stop", service)

    async def start(self, service: str) -> None:
        await self._run("start", service)

    async def _run(self, what: str, service: str) -> None:
        command = [word.replace("{service}", service) for word in shlex.split(self.need(what))]
        shown = shlex.join(command)
        code, output = await run(command, shown, COMMAND_SECONDS)
        if code:
            raise ShopError(f"{shown} exited with {code}: {last_line(output)}")

    def need(self, name: str) -> str:
        value = getattr(self.settings, name)
        if value is None:
            raise ShopError(f"{PREFIX}{name.upper()} is not set: `shop env`, run next to the shop, prints it")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
