"""Settings from the environment, complete and valid before anything starts."""

import os
import sys
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]
S = TypeVar("S", bound="ServiceSettings")


class ServiceSettings(BaseSettings):
    """What every service is told, each by an environment variable of the same name in upper case.

    `amqp_url` may be several, comma-separated: the nodes of one broker. Where there is an `own_port`, `port`
    is shared with other copies on this machine, and each can be probed at its own.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    own_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    database_url: Annotated[str, Field(pattern=r"^postgresql\+asyncpg://")]
    amqp_url: Annotated[str, Field(pattern=r"^amqps?://[^,]+(,amqps?://[^,]+)*$")]
    jwks_url: Annotated[str, Field(pattern=r"^https?://")]
    token_issuer: str
    token_audience: str
    role: Literal["all", "api", "worker"] = "all"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    pool_size: Annotated[int, Field(ge=2, le=100)] = 5
    database_timeout: Seconds = 15
    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024
    broker_timeout: Seconds = 10
    broker_patience: Annotated[float, Field(ge=0)] = 60
    publish_window: Annotated[int, Field(ge=1)] = 100
    consume_batch: Annotated[int, Field(ge=1)] = 50
    consume_linger: Annotated[float, Field(ge=0)] = 0.08
    publish_linger: Annotated[float, Field(ge=0)] = 0.005
    settle_linger: Annotated[float, Field(ge=0)] = 0.03
    outbox_poll: Seconds = 1
    lease: Seconds = 60
    intent_concurrency: Annotated[int, Field(ge=1)] = 32
    intent_longest_delay: Seconds = 60
    inbox_keep_days: Annotated[int, Field(ge=1)] = 14
    shutdown_grace: Seconds = 10


def load(settings: type[S]) -> S:
    """Read the environment. Says on standard error what is wrong, and exits with 78 (EX_CONFIG)."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            variable = str(problem["loc"][0]).upper()
            sys.stderr.write(f"{variable}: {problem['msg']}\n")
        sys.exit(os.EX_CONFIG)
