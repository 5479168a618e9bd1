"""The settings of every service, read from the environment and validated before anything starts."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from chassis.runtime.environment import Environment, password_in, with_password

Seconds = Annotated[float, Field(gt=0)]


def _complete_amqp_url(urls: str, given: ValidationInfo) -> str:
    return ",".join(with_password(url, given.data.get("amqp_password")) for url in urls.split(","))


class DatabaseSettings(Environment):
    """The database's URL, with its password in it or in a variable of its own."""

    database_password: SecretStr | None = None  # declared first: the URL's validator inserts it
    database_url: Annotated[
        str, Field(pattern=r"^postgresql\+asyncpg://", repr=False), password_in("database_password")
    ]


class ServiceSettings(DatabaseSettings):
    """The settings of every service. All waits are in seconds.

    `port`, `own_port`: with an `own_port`, `port` is shared by all copies of the service on this machine, and
        each copy can be probed at its own.
    `amqp_url`: the broker's URL, or those of its nodes, comma-separated.
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

    `outbox_poll`: between two looks for outbox rows and intents that no process has leased.
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
    amqp_password: SecretStr | None = None  # declared first: the URL's validator inserts it
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
