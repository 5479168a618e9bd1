"""The settings of every service, validated before anything starts. They come from the environment: each as
`NAME`, or as `NAME_FILE`, the path of a file with the value."""

import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from chassis.secret_files import RotatedPassword, UnusableFile, read_secret
from chassis.tls import CaFile, verified_amqp_url, verified_database_url

_SEPARATOR = re.compile(r",(?=\w+://)")  # a database's URL may have commas within

T = TypeVar("T", bound="Environment")


class Misconfigured(ValueError):
    """A variable has an impossible value; the text begins with the variable's name."""


class Environment(BaseSettings):
    """Settings whose fields are read from variables of the same name in upper case. An empty variable counts
    as unset.

    A file's last newline is not part of the value. If `name_file` is a field itself, the variable `NAME_FILE`
    is that field's value.
    """

    model_config = SettingsConfigDict(
        env_prefix="", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        return init_settings, env_settings, _Files(settings_cls, env_settings.env_prefix)


def load(settings: type[T], prefix: str | None = None, **given: Any) -> T:
    """Read settings from the environment. Writes errors to standard error, and exits with 78 (EX_CONFIG)
    then.

    `prefix`: the beginning of the variables' names.
    `given`: values that replace those of the environment.
    """
    prefix = settings.model_config["env_prefix"] if prefix is None else prefix
    try:
        return settings(_env_prefix=prefix, **given)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            where = "".join(f"{prefix}{field}: ".upper() for field in problem["loc"][:1])
            sys.stderr.write(f"{where}{problem['msg'].removeprefix('Value error, ')}\n")
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n")
    sys.exit(os.EX_CONFIG)


def password_in(field: str) -> AfterValidator:
    """A validator for a URL, or several with commas between: inserts the password of `field`. Where
    `<field>_file` is given, which is read for each connection, it checks that the URL names a user and has no
    password. Both have to be declared before the URL."""

    def complete(urls: str, given: ValidationInfo) -> str:
        if given.data.get(f"{field}_file") is None:
            return with_password(urls, given.data.get(field))
        for url in _SEPARATOR.split(urls):
            _refuse_password(url)
        return urls

    return AfterValidator(complete)


def with_password(urls: str, password: SecretStr | None) -> str:
    """The URLs with this password. Raises ValueError if one names no user, or has a password already."""
    if password is None:
        return urls
    secret = quote(password.get_secret_value(), safe="")
    return ",".join(_insert(url, secret) for url in _SEPARATOR.split(urls))


def _insert(url: str, quoted: str) -> str:
    _refuse_password(url)
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.removesuffix(':')}:{quoted}@{host}").geturl()


def _refuse_password(url: str) -> None:
    parts = urlsplit(url)
    if not parts.username:
        raise ValueError("names no user for the password that is given apart")
    if parts.password is not None:
        raise ValueError("has a password, and another is given apart")


def ca_in(field: str) -> AfterValidator:
    """Likewise for a database's URL: inserts the CA file of `field`."""
    return AfterValidator(lambda url, given: verified_database_url(url, given.data.get(field)))


class _Files(PydanticBaseSettingsSource):
    def __init__(self, settings: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings)
        self._prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self._prefix}{field_name}".upper()
        path = os.environ.get(f"{variable}_FILE")
        if path and os.environ.get(variable):
            raise Misconfigured(f"{variable}_FILE: {variable} is given as well")
        if not path or f"{field_name}_file" in self.settings_cls.model_fields:
            return None, field_name, False
        try:
            return read_secret(Path(path)), field_name, False
        except UnusableFile as error:
            raise Misconfigured(f"{variable}_FILE: {error}") from None

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        values = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in values.items() if value is not None}


Seconds = Annotated[float, Field(gt=0)]


def _verify_amqp_urls(urls: str, given: ValidationInfo) -> str:
    return ",".join(verified_amqp_url(url, given.data.get("amqp_ca_file")) for url in urls.split(","))


class DatabaseSettings(Environment):
    """The database's URL, with its password in it, in a variable of its own, or in a file, which is read for
    every new connection. With a `database_ca_file` the connection is by TLS, and the server's certificate and
    host name are verified."""

    database_password: SecretStr | None = None  # declared first: the URL's validators insert them
    database_password_file: RotatedPassword | None = None
    database_ca_file: CaFile | None = None
    database_url: Annotated[
        str,
        Field(pattern=r"^postgresql\+asyncpg://", repr=False),
        password_in("database_password"),
        ca_in("database_ca_file"),
    ]


class ServiceSettings(DatabaseSettings):
    """The settings of every service. All waits are in seconds.

    `port`, `own_port`: with an `own_port`, `port` is shared by all copies of the service on this machine, and
        each copy can be probed at its own.
    `amqp_url`: the broker's URL, or those of its nodes, comma-separated.
    `amqp_ca_file`: with it every URL has to be `amqps://`, and the nodes' certificates and host names are
        verified by its CAs. Without it those of the platform verify the nodes of `amqps://` URLs.
    `role`: `api` serves HTTP, `worker` consumes and publishes, `all` does both.

    `lock_timeout`: a statement that waits longer for a lock is ended by the database.
    `statement_timeout`: a statement that takes longer is ended by the database.
    `database_timeout`: without any reply for so long, the client treats the database as unavailable.
    `broker_timeout`: for one attempt to connect, and for the confirms of one publish.
    `broker_patience`: how long a starting process waits for a broker that is not up.

    `publish_window`: the maximum number of unconfirmed messages.
    `consume_batch`, `consume_batch_bytes`: the maximum number and size of messages per commit.
    `consume_linger`: how long the first message of a batch waits for others, to share a commit.
    `publish_linger`: likewise, how long the first committed event waits for others, to share a round of
        publishing.
    `settle_linger`: likewise, how long the first outcome of a remote call waits for others, to share a
        commit.

    `outbox_poll`: the maximum time between two polls for outbox rows and intents that no process has leased;
        the process polls earlier when it knows of one that is due.
    `lease`: how long outbox rows and intents belong to the process that leased them; if it dies, another one
        takes them over after that. Longer than one statement and one publish take.
    `refused_longest_delay`: the maximum delay before an event that the broker refused is published again.
    `intent_concurrency`, `intent_longest_delay`: remote calls at once, and the maximum delay before a repeat.
    `inbox_keep_days`: how long handled messages are recognised as repeats.
    `stuck_after`: when no message of a queue was finished for so long, the process is not ready.
    `shutdown_grace`: how long a stopping process finishes the work that it has begun.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    own_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    amqp_password: SecretStr | None = None  # declared first: the URL's validators insert them
    amqp_password_file: RotatedPassword | None = None
    amqp_ca_file: CaFile | None = None
    amqp_url: Annotated[
        str,
        Field(pattern=r"^amqps?://[^,]+(,amqps?://[^,]+)*$", repr=False),
        password_in("amqp_password"),
        AfterValidator(_verify_amqp_urls),
    ]
    jwks_url: Annotated[str, Field(pattern=r"^https?://")]
    token_issuer: str
    token_audience: str
    role: Literal["all", "api", "worker"] = "all"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    pool_size: Annotated[int, Field(ge=2, le=100)] = 5
    lock_timeout: Seconds = 2
    statement_timeout: Seconds = 5
    database_timeout: Seconds = 10
    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024
    broker_timeout: Seconds = 5
    broker_patience: Annotated[float, Field(ge=0)] = 60
    publish_window: Annotated[int, Field(ge=1)] = 100
    consume_batch: Annotated[int, Field(ge=1)] = 50
    consume_batch_bytes: Annotated[int, Field(ge=1)] = 512 * 1024
    consume_linger: Annotated[float, Field(ge=0)] = 0.08
    publish_linger: Annotated[float, Field(ge=0)] = 0.005
    settle_linger: Annotated[float, Field(ge=0)] = 0.03
    outbox_poll: Seconds = 5
    lease: Seconds = 10
    refused_longest_delay: Seconds = 60
    intent_concurrency: Annotated[int, Field(ge=1)] = 32
    intent_longest_delay: Seconds = 60
    inbox_keep_days: Annotated[int, Field(ge=1)] = 14
    stuck_after: Seconds = 30
    shutdown_grace: Seconds = 10

    @model_validator(mode="after")
    def _waits_in_order(self) -> "ServiceSettings":
        """A slow statement has to be ended by the database before the client gives up, and
        a lease has to last longer than the work that it is for."""
        _ascending(self, "lock_timeout", "statement_timeout", "database_timeout")
        _ascending(self, "statement_timeout", "lease")
        _ascending(self, "broker_timeout", "lease")
        return self


def _ascending(settings: ServiceSettings, *names: str) -> None:
    for lesser, greater in pairwise(names):
        if getattr(settings, lesser) >= getattr(settings, greater):
            raise ValueError(f"{lesser.upper()} must be less than {greater.upper()}")
