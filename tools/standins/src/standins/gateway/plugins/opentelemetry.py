"""opentelemetry: hands the W3C trace on to the service as Kong does, with a span of its own between.

It exports nothing. Kong samples like this when its `tracing_instrumentations` name `request`.
"""

import os
import re
from typing import Annotated, Literal

from pydantic import Field

from standins.gateway.exchange import Answer, Entry, Exchange, Milliseconds, Plugin, Strict

_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})", re.IGNORECASE)
_SAMPLED = 1


class Propagation(Strict):
    extract: list[Literal["w3c"]] = Field(min_length=1, max_length=1)
    clear: Annotated[list[str], Field(max_length=0)]
    inject: list[Literal["w3c"]] = Field(min_length=1, max_length=1)
    default_format: Literal["w3c"]


class Queue(Strict):
    """What waits for the export, which the stand-in does not do."""

    max_batch_size: int
    max_coalescing_delay: float
    max_entries: int
    max_retry_time: float
    initial_retry_delay: float
    max_retry_delay: float


class Config(Strict):
    traces_endpoint: Annotated[str, Field(pattern=r"^https?://[^/]+/.*$")]
    resource_attributes: dict[str, str]
    sampling_rate: Literal[1]
    connect_timeout: Milliseconds
    send_timeout: Milliseconds
    read_timeout: Milliseconds
    propagation: Propagation
    queue: Queue


class OpenTelemetryEntry(Entry[Literal["opentelemetry"], Config]):
    enabled: bool


class OpenTelemetry(Plugin):
    priority = 14

    async def access(self, exchange: Exchange) -> Answer | None:
        given = _TRACEPARENT.fullmatch(exchange.headers.get(b"traceparent", b""))
        trace = given[1].lower() if given else _hexadecimal(16)
        sampled = b"01" if given is None or int(given[2], 16) & _SAMPLED else b"00"
        exchange.upstream[b"traceparent"] = b"00-%b-%b-%b" % (trace, _hexadecimal(8), sampled)
        return None


def _hexadecimal(size: int) -> bytes:
    return os.urandom(size).hex().encode()
