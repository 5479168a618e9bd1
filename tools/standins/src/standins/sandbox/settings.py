"""The sandbox's settings, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from standins.running import Misconfigured, read_settings

EVENTS = (
    *("payment_intent.requires_action", "payment_intent.amount_capturable_updated"),
    *("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"),
    *("charge.refunded", "charge.expired", "refund.created", "refund.updated", "refund.failed"),
    *("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
    *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
)


def _known(events: Any) -> Any:
    if not isinstance(events, str):
        return events
    named = frozenset(filter(None, events.replace(" ", "").split(",")))
    if unknown := named - set(EVENTS):
        raise ValueError(f"{min(unknown)} is none of {', '.join(EVENTS)}")
    return named


Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds, sizes in bytes. `public_url` is where a shopper's browser reaches the sandbox's
    pages; as the shop does, unless it is given. `later` is how long cards wait whose refund fails, or whose
    payment is disputed."""

    api_key: str = field(repr=False)
    journal: Path
    host: str = "127.0.0.1"
    port: Count = 18007
    public_url: Annotated[str, BeforeValidator(lambda url: url.rstrip("/"))] | None = None
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    webhook_events: Annotated[frozenset[str], BeforeValidator(_known)] = frozenset(EVENTS)
    webhook_timeout: Seconds = 10.0
    webhook_attempts: Count = 15
    webhook_workers: Count = 4
    webhook_queue: Count = 50_000
    body_limit: Count = 65_536
    body_timeout: Seconds = 10.0
    hang: Seconds = 120.0
    slow: Seconds = 3.0
    later: Seconds = 2.0


VARIABLES = {name: f"SANDBOX_{name.upper()}" for name in Settings.__dataclass_fields__} | {
    **{name: name.upper() for name in ("host", "port")},
    **{name: f"SANDBOX_{name.upper()}_SECONDS" for name in ("hang", "slow", "later")},
}


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    settings = read_settings(Settings, VARIABLES, env)
    if settings.webhook_url and not settings.webhook_secret:
        raise Misconfigured("set SANDBOX_WEBHOOK_SECRET: webhooks are never sent unsigned")
    return settings
