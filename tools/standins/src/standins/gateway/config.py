"""`kong.yml` as models: the entities, fields and values that the stand-in honours.

Whatever else is in the file is refused, also where Kong would take it, and so is a missing value whose
default in Kong is a trap.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

import yaml
from pydantic import Field, PlainValidator, ValidationError, field_validator, model_validator

from standins.gateway.exchange import Entry, Method, Milliseconds, Strict
from standins.gateway.plugins import bot_detection, cors, jwt, opentelemetry, rate_limiting
from standins.gateway.plugins import sizes_and_headers as sizes
from standins.gateway.router import compile_path


class Refused(Exception):
    """The file has something that the stand-in does not support; the message is one line."""


class PrometheusConfig(Strict):
    """Which figures are kept. They are served by the status listener, never to shoppers."""

    per_consumer: Literal[False]
    status_code_metrics: Literal[True]
    latency_metrics: Literal[True]
    bandwidth_metrics: Literal[False]
    upstream_health_metrics: Literal[False]
    ai_metrics: Literal[False]


PluginEntry = Annotated[
    Entry[Literal["bot-detection"], bot_detection.Config]
    | Entry[Literal["cors"], cors.Config]
    | Entry[Literal["jwt"], jwt.Config]
    | opentelemetry.OpenTelemetryEntry
    | Entry[Literal["prometheus"], PrometheusConfig]
    | Entry[Literal["rate-limiting"], rate_limiting.Config]
    | Entry[Literal["request-size-limiting"], sizes.SizeConfig]
    | Entry[Literal["request-transformer"], sizes.RequestConfig]
    | Entry[Literal["response-transformer"], sizes.ResponseConfig],
    Field(discriminator="name"),
]


class WithPlugins(Strict):
    plugins: list[PluginEntry] = Field(default_factory=list)

    @field_validator("plugins")
    @classmethod
    def _one_of_each(cls, plugins: list[PluginEntry]) -> list[PluginEntry]:
        names = [plugin.name for plugin in plugins]
        if len(names) != len(set(names)):
            raise ValueError("a plugin is configured twice")
        return plugins


class Route(WithPlugins):
    name: str
    protocols: list[Literal["http", "https"]] = Field(min_length=1)
    methods: list[Method] | None = Field(default=None, min_length=1)
    paths: list[str] = Field(min_length=1)
    strip_path: bool
    preserve_host: Literal[False] = False
    regex_priority: int = Field(default=0, ge=0)
    response_buffering: bool = True
    https_redirect_status_code: Literal[426, 301, 302, 307, 308] = 426

    @field_validator("paths")
    @classmethod
    def _paths_are_understood(cls, paths: list[str]) -> list[str]:
        for path in paths:
            compile_path(path)
        return paths


def _plain_http_with_a_port(url: object) -> SplitResult:
    parts = urlsplit(str(url))
    if parts.scheme != "http" or not parts.port or parts.query or parts.fragment or parts.username:
        raise ValueError("write http://host:port or http://host:port/path")
    return parts


class Service(WithPlugins):
    """`path` of the URL is put before every request's path; timeouts are in milliseconds."""

    name: str
    url: Annotated[SplitResult, PlainValidator(_plain_http_with_a_port)]
    retries: int = Field(ge=0, le=32767)
    connect_timeout: Milliseconds
    read_timeout: Milliseconds
    write_timeout: Milliseconds
    routes: list[Route] = Field(min_length=1)

    @model_validator(mode="after")
    def _reads_and_writes_wait_alike(self) -> Self:
        if self.read_timeout != self.write_timeout:
            raise ValueError("write_timeout differs from read_timeout, which the stand-in does not support")
        return self


class JwtSecret(Strict):
    key: str = Field(min_length=1)
    algorithm: Literal["ES256"]
    rsa_public_key: str

    @field_validator("rsa_public_key")
    @classmethod
    def _is_a_public_key(cls, pem: str) -> str:
        jwt.public_key(pem)
        return pem


class Consumer(Strict):
    username: str
    jwt_secrets: list[JwtSecret] = Field(default_factory=list)


class KongFile(WithPlugins):
    format_version: Literal["3.0"] = Field(alias="_format_version")
    services: list[Service]
    consumers: list[Consumer] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("service", [service.name for service in self.services]),
            ("route", [route.name for service in self.services for route in service.routes]),
            ("consumer", [consumer.username for consumer in self.consumers]),
            ("key", [secret.key for consumer in self.consumers for secret in consumer.jwt_secrets]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{kind} {min(twice)} occurs twice")
        return self


def parse(text: str) -> KongFile:
    """The file's models. Raises Refused, with one line that says where and what."""
    try:
        return KongFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise Refused(f"not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "the file"
        raise Refused(f"{field}: {first['msg']} (given: {first['input']!r:.80})") from None


def read(path: Path) -> KongFile:
    """Raises Refused for a file that cannot be read or honoured."""
    try:
        return parse(path.read_text())
    except OSError as error:
        raise Refused(error.strerror or str(error)) from None
    except Refused as refusal:
        raise Refused(f"{path}: {refusal}") from None
