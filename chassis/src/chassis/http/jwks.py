"""The keys that an issuer publishes: fetched late and once, kept while it is away, dropped when withdrawn."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from chassis.errors import Unavailable
from chassis.telemetry.logs import without_trace

log = structlog.get_logger(__name__)
_PUBLIC = frozenset({"EC", "RSA", "OKP"})


@dataclass
class PublishedKeys:
    """A JWK Set (RFC 7517) at `url`, times in seconds.

    Fetched when first needed and, in the background, when older than `max_age`. A key that is not in it has
    it fetched anew, at most every `refetch_every`; a fetch that failed is repeated after `retry_every`.
    Keys are good for `stale_for` while the issuer does not answer; of a key that is not among them nobody can
    say then whether it is good.
    """

    url: str
    http: httpx.AsyncClient
    clock: Callable[[], float]
    on_change: Callable[[], None]
    timeout: float
    max_age: float
    refetch_every: float
    retry_every: float
    stale_for: float
    _keys: dict[str, Key] = field(default_factory=dict)
    _fetched: float = float("-inf")
    _not_before: float = float("-inf")
    _fetching: asyncio.Task[None] | None = None
    _failing: bool = False

    async def get(self, kid: str) -> Key | None:
        """The key of that name, if the issuer has published it. Raises Unavailable without usable keys."""
        if not self.are_known() or kid not in self._keys:
            fetching = self._begin()
            if fetching is not None:
                await asyncio.shield(fetching)  # others wait for it too: who leaves must not take it along
        if self._age() > self.stale_for or (kid not in self._keys and self._failing):
            raise Unavailable("Tokens cannot be verified at the moment.", retry_after=self.retry_every)
        return self._keys.get(kid)

    def are_known(self) -> bool:
        """Whether there are keys to go by. Those older than `max_age` are fetched anew in the background."""
        if self._age() > self.max_age:
            self._begin()
        return self._age() <= self.stale_for

    async def aclose(self) -> None:
        """Give up a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()

    def _age(self) -> float:
        return self.clock() - self._fetched

    def _begin(self) -> asyncio.Task[None] | None:
        if self._fetching is None and self.clock() >= self._not_before:
            self._fetching = asyncio.create_task(self._fetch(), context=without_trace())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            response = await self.http.get(self.url, timeout=self.timeout)
            keys = usable(response.raise_for_status().json())
        except (httpx.HTTPError, ValueError) as error:
            log.warning("could not fetch signing keys", url=self.url, error=repr(error))
            self._failing = True
            self._not_before = self.clock() + self.retry_every
        else:
            self._take(keys)
        finally:
            self._fetching = None

    def _take(self, keys: dict[str, Key]) -> None:
        self._failing = False
        self._fetched = self.clock()
        self._not_before = self._fetched + self.refetch_every
        if _public(keys) != _public(self._keys):
            log.info("signing keys fetched", kids=sorted(keys))
            self._keys = keys
            self.on_change()


def usable(document: Any) -> dict[str, Key]:
    """The public keys of a JWK Set by name; those of a kind that we do not know are passed over.

    Raises ValueError when there is none: an issuer without keys is one that is broken.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, Key] = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            if entry["kty"] in _PUBLIC:
                key = import_key(entry)
                keys[entry["kid"]] = key
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not keys:
        raise ValueError("the key set holds no public key with a name")
    return keys


def _public(keys: dict[str, Key]) -> dict[str, object]:
    return {kid: key.as_dict(private=False) for kid, key in keys.items()}
