"""bot-detection: refuses programs that say in their User-Agent that they are robots."""

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator

from standins.gateway.answers import message
from standins.gateway.exchange import Answer, Exchange, Headers
from standins.gateway.plugins.bots import BOTS
from standins.gateway.strict import Strict

_REMEMBERED = 1_000


def _plain(expression: str) -> str:
    """Raises ValueError for what PCRE and Python might read in two ways."""
    if not re.fullmatch(r"\^?(?:[A-Za-z0-9 _/;:-]|\\\.|\[[A-Za-z0-9]+\])+", expression):
        raise ValueError("write words, with [Aa] where the case may differ, and ^ for the start")
    return expression


Expression = Annotated[str, AfterValidator(_plain)]


class Config(Strict):
    allow: list[Expression]
    deny: list[Expression]


class Entry(Strict):
    name: Literal["bot-detection"]
    config: Config


class BotDetection:
    priority = 2500

    def __init__(self, config: Config) -> None:
        self._allow = [re.compile(expression) for expression in config.allow]
        self._deny = [*(re.compile(expression) for expression in config.deny), BOTS]
        self._refuses = lru_cache(_REMEMBERED)(self._examine)

    async def access(self, exchange: Exchange) -> Answer | None:
        given = [value for name, value in exchange.every_header if name == b"user-agent"]
        if len(given) > 1:
            return message(exchange, 400, "Only one User-Agent header allowed")
        if given and self._refuses(given[0]):
            return message(exchange, 403, "Forbidden")
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        """Adds nothing."""

    def _examine(self, user_agent: bytes) -> bool:
        text = user_agent.decode("latin-1").strip()
        if any(rule.search(text) for rule in self._allow):
            return False
        return any(rule.search(text) for rule in self._deny)
