"""The sandbox's settings, read once from the environment; secrets also from files, by `NAME_FILE`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EVENTS = (
    "payment_intent.requires_action",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_reinstated",
)


class Misconfigured(Exception):
    """A setting is missing or invalid; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds, sizes in bytes. `public_url` is where a shopper's browser reaches the sandbox's
    pages; as the shop does, unless it is given. `later` is how long cards wait whose refund fails, or whose
    payment is disputed."""

    api_key: str = field(repr=False)
    journal: Path
    host: str = "127.0.0.1"
    port: int = 18007
    public_url: str | None = None
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    webhook_events: frozenset[str] = frozenset(EVENTS)
    webhook_timeout: float = 10.0
    webhook_attempts: int = 15
    webhook_workers: int = 4
    webhook_queue: int = 50_000
    body_limit: int = 65_536
    body_timeout: float = 10.0
    hang: float = 120.0
    slow: float = 3.0
    later: float = 2.0


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    api_key = _secret(env, "SANDBOX_API_KEY")
    if not api_key:
        raise Misconfigured("set SANDBOX_API_KEY or SANDBOX_API_KEY_FILE")
    webhook_secret = _secret(env, "SANDBOX_WEBHOOK_SECRET")
    if env.get("SANDBOX_WEBHOOK_URL") and not webhook_secret:
        raise Misconfigured("set SANDBOX_WEBHOOK_SECRET: webhooks are never sent unsigned")
    if not env.get("SANDBOX_JOURNAL"):
        raise Misconfigured("set SANDBOX_JOURNAL to the file that remembers payments")
    events = frozenset(env.get("SANDBOX_WEBHOOK_EVENTS", ",".join(EVENTS)).replace(" ", "").split(","))
    if unknown := events - {*EVENTS, ""}:
        raise Misconfigured(f"SANDBOX_WEBHOOK_EVENTS: {min(unknown)} is none of {', '.join(EVENTS)}")
    return Settings(
        api_key=api_key,
        journal=Path(env["SANDBOX_JOURNAL"]),
        host=env.get("HOST", "127.0.0.1"),
        port=int(_number(env, "PORT", 18007)),
        public_url=env.get("SANDBOX_PUBLIC_URL", "").rstrip("/") or None,
        webhook_url=env.get("SANDBOX_WEBHOOK_URL") or None,
        webhook_secret=webhook_secret,
        webhook_events=events,
        webhook_timeout=_number(env, "SANDBOX_WEBHOOK_TIMEOUT", 10),
        webhook_attempts=int(_number(env, "SANDBOX_WEBHOOK_ATTEMPTS", 15)),
        webhook_workers=int(_number(env, "SANDBOX_WEBHOOK_WORKERS", 4)),
        webhook_queue=int(_number(env, "SANDBOX_WEBHOOK_QUEUE", 50_000)),
        body_limit=int(_number(env, "SANDBOX_BODY_LIMIT", 65_536)),
        body_timeout=_number(env, "SANDBOX_BODY_TIMEOUT", 10),
        hang=_number(env, "SANDBOX_HANG_SECONDS", 120),
        slow=_number(env, "SANDBOX_SLOW_SECONDS", 3),
        later=_number(env, "SANDBOX_LATER_SECONDS", 2),
    )


def _secret(env: Mapping[str, str], name: str) -> str:
    path = env.get(f"{name}_FILE")
    if not path:
        return env.get(name, "")
    if env.get(name):
        raise Misconfigured(f"{name}_FILE: {name} is given as well")
    try:
        secret = Path(path).read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise Misconfigured(f"{name}_FILE: cannot read {path}") from problem
    if not secret:
        raise Misconfigured(f"{name}_FILE: {path} is empty")
    return secret


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(env.get(name) or default)
    except ValueError as problem:
        raise Misconfigured(f"{name} must be a number, not {env[name]}") from problem
    if number < 0:
        raise Misconfigured(f"{name} must not be negative")
    return number
