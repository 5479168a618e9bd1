"""Settings from the environment, complete and valid before anything starts."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from chassis.runtime.environment import Environment, password_in, with_password

Seconds = Annotated[float, Field(gt=0)]


def _complete_amqp_url(urls: str, given: ValidationInfo) -> str:
    return ",".join(with_password(url, given.data.get("amqp_password")) for url in urls.split(","))


class DatabaseSettings(Environment):
    """Where the database is. The password may be part of the URL or be given apart."""

    database_password: SecretStr | None = None  # before the URL that it is put into
    database_url: Annotated[
        str, Field(pattern=r"^postgresql\+asyncpg://", repr=False), password_in("database_password")
    ]


class ServiceSettings(DatabaseSettings):
    """What every service is told.

    `amqp_url` may be several, comma-separated: the nodes of one broker. Where there is an `own_port`, `port`
    is shared with other copies on this machine, and each can be probed at its own.

    Waits are in seconds. A lock is waited for for `lock_timeout`; the server ends a statement after
    `statement_timeout`, and only then the client takes the database for away (`database_timeout`). What a
    process has in hand is its own for a `lease`, which outlasts one statement and one publish
    (`broker_timeout`): when the process dies, another takes it up after that. An event that the broker
    refuses is tried again after at most `refused_longest_delay`. A queue whose messages do not come to an end
    for `stuck_after` makes the process not ready.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    own_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    amqp_password: SecretStr | None = None  # before the URL that it is put into
    amqp_url: Annotated[
        str,
        Field(pattern=r"^amqps?://[^,]+(,amqps?://[^,]+)*$", repr=False),
        AfterValidator(_complete_amqp_url),
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
    outbox_poll: Seconds = 1
    lease: Seconds = 10
    refused_longest_delay: Seconds = 60
    intent_concurrency: Annotated[int, Field(ge=1)] = 32
    intent_longest_delay: Seconds = 60
    inbox_keep_days: Annotated[int, Field(ge=1)] = 14
    stuck_after: Seconds = 30
    shutdown_grace: Seconds = 10

    @model_validator(mode="after")
    def _waits_in_order(self) -> "ServiceSettings":
        """Who gives up first decides what a silence is taken for."""
        _ascending(self, "lock_timeout", "statement_timeout", "database_timeout")
        _ascending(self, "statement_timeout", "lease")
        _ascending(self, "broker_timeout", "lease")
        return self


def _ascending(settings: ServiceSettings, *names: str) -> None:
    for less, more in pairwise(names):
        if getattr(settings, less) >= getattr(settings, more):
            raise ValueError(f"{less.upper()} must be less than {more.upper()}")
