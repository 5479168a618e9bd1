"""The mailbox's settings, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class Misconfigured(Exception):
    """A setting is missing or invalid; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`keep` is how many messages are kept, `largest` the size of one in bytes, `idle` in seconds."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 18008
    smtp_port: int = 18009
    keep: int = 10_000
    largest: int = 1_048_576
    recipients: int = 100
    connections: int = 200
    idle: float = 60.0


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    if not env.get("MAILBOX_FOLDER"):
        raise Misconfigured("set MAILBOX_FOLDER to where messages are kept")
    return Settings(
        folder=Path(env["MAILBOX_FOLDER"]),
        host=env.get("HOST", "127.0.0.1"),
        port=_number(env, "PORT", 18008, least=0),
        smtp_port=_number(env, "SMTP_PORT", 18009, least=0),
        keep=_number(env, "MAILBOX_KEEP", 10_000),
        largest=_number(env, "MAILBOX_LARGEST", 1_048_576),
        recipients=_number(env, "MAILBOX_RECIPIENTS", 100),
        connections=_number(env, "MAILBOX_CONNECTIONS", 200),
        idle=_number(env, "MAILBOX_IDLE", 60),
    )


def _number(env: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    try:
        number = int(env.get(name) or default)
    except ValueError as problem:
        raise Misconfigured(f"{name} must be a whole number, not {env[name]}") from problem
    if number < least:
        raise Misconfigured(f"{name} must be at least {least}")
    return number
