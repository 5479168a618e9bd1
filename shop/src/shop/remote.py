"""A shop that is not the stack on this machine: `SHOP_…` variables have its addresses and credentials."""

import shlex
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.runtime.settings import Environment, load, password_in
from order.operations import NUDGE_DAYS
from shop.errors import ShopError
from shop.machine import last_line, run

PREFIX = "SHOP_"
COMMAND_SECONDS = 180
STRIPE = "https://api.stripe.com"

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/]+"), AfterValidator(lambda url: url.rstrip("/"))]
AmqpUrl = Annotated[str, Field(pattern=r"^amqps?://"), password_in("amqp_password")]
DatabaseUrl = Annotated[str, Field(pattern=r"^postgresql://"), password_in("database_password")]


class RemoteSettings(Environment):
    """Each command needs some of them. Users are the operator's. A restricted `stripe_api_key` is enough,
    if it can read payments, refunds and disputes.

    `stop` and `start` are commands in which `{service}` stands for a service's name; `start` ends when the
    service answers.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    url: HttpUrl | None = None
    sandbox_url: HttpUrl | None = None
    stripe_api_base: HttpUrl | None = None
    stripe_api_key: SecretStr | None = None
    mailbox_url: HttpUrl | None = None
    management_url: HttpUrl | None = None
    amqp_password: SecretStr | None = None  # before the URL that it is put into
    amqp_url: AmqpUrl | None = Field(default=None, repr=False)
    database_password: SecretStr | None = None  # before the URL that it is put into
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


@dataclass(frozen=True)
class RemoteTarget:
    """A shop that is reached over the network (see `shop.targets.Target`)."""

    settings: RemoteSettings

    @property
    def gateway_url(self) -> str:
        return self._need("url")

    @property
    def sandbox_url(self) -> str:
        return self._need("sandbox_url")

    @property
    def provider_url(self) -> str:
        return self.settings.stripe_api_base or STRIPE

    @property
    def provider_key(self) -> str:
        return self._need("stripe_api_key")

    @property
    def mailbox_url(self) -> str:
        return self._need("mailbox_url")

    @property
    def management_url(self) -> str:
        return self._need("management_url")

    @property
    def operator_amqp_url(self) -> str:
        return self._need("amqp_url")

    @property
    def admin_email(self) -> str:
        return self._need("admin_email")

    @property
    def admin_password(self) -> str:
        return self._need("admin_password")

    @property
    def customers_secret(self) -> str:
        return self.admin_password

    @property
    def nudge_days(self) -> int:
        return self.settings.nudge_days

    @property
    def topology(self) -> None:
        return None

    def operator_dsn(self, database: str = "postgres") -> str:
        return urlsplit(self._need("database_url"))._replace(path=f"/{database}").geturl()

    async def stop(self, service: str) -> None:
        await self._run("stop", service)

    async def start(self, service: str) -> None:
        await self._run("start", service)

    async def _run(self, what: str, service: str) -> None:
        command = [word.replace("{service}", service) for word in shlex.split(self._need(what))]
        shown = shlex.join(command)
        code, output = await run(command, shown, COMMAND_SECONDS)
        if code:
            raise ShopError(f"{shown} exited with {code}: {last_line(output)}")

    def _need(self, name: str) -> str:
        value = getattr(self.settings, name)
        if value is None:
            raise ShopError(f"{PREFIX}{name.upper()} is not set: `shop env`, run next to the shop, prints it")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
