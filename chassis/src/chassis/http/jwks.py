"""The signing keys that an issuer publishes as a JWK Set: fetched when first needed, and cached."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
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
    """A cached JWK Set (RFC 7517).

    While the issuer does not answer, cached keys remain valid for `stale_for`. Whether a key that is not
    cached is valid is unknown then, so `get` raises Unavailable.

    `url`: where the issuer publishes the set.
    `timeout`: seconds for one fetch.
    `max_age`: after so many seconds the set is refreshed in the background.
    `refetch_every`: a key that is not in the set causes a fetch, at most one in so many seconds.
    `retry_every`: seconds before a failed fetch is repeated.
    `stale_for`: seconds for which keys are used after the last successful fetch.
    `clock`: the time in seconds.
    `http`: the client that fetches the set; `aclose` closes it.
    `on_change`: called when the set has changed.
    """

    url: str
    _: KW_ONLY
    timeout: float = 2
    max_age: float = 300
    refetch_every: float = 10
    retry_every: float = 1
    stale_for: float = 86_400
    clock: Callable[[], float] = time.time
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    on_change: Callable[[], None] = lambda: None
    _keys: dict[str, Key] = field(default_factory=dict)
    _fetched: float = float("-inf")
    _not_before: float = float("-inf")
    _fetching: asyncio.Task[None] | None = None
    _failing: bool = False

    async def get(self, kid: str) -> Key | None:
        """The key with this id, `None` if it is not published. Raises Unavailable if that is unknown."""
        if not self.refresh_if_old() or kid not in self._keys:
            fetching = self._fetch_if_due()
            if fetching is not None:
                await asyncio.shield(fetching)  # others wait for it, too: one's end must not cancel it
        if self._age() > self.stale_for or (kid not in self._keys and self._failing):
            raise Unavailable("Tokens cannot be verified at the moment.", retry_after=self.retry_every)
        return self._keys.get(kid)

    def refresh_if_old(self) -> bool:
        """Begin to fetch the set in the background if it is older than `max_age`. Returns whether the cached
        keys may still be used."""
        if self._age() > self.max_age:
            self._fetch_if_due()
        return self._age() <= self.stale_for

    async def aclose(self) -> None:
        """Cancel a fetch that is under way, and close the client."""
        if self._fetching is not None:
            self._fetching.cancel()
        await self.http.aclose()

    def _age(self) -> float:
        return self.clock() - self._fetched

    def _fetch_if_due(self) -> asyncio.Task[None] | None:
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
            self._replace(keys)
        finally:
            self._fetching = None

    def _replace(self, keys: dict[str, Key]) -> None:
        self._failing = False
        self._fetched = self.clock()
        self._not_before = self._fetched + self.refetch_every
        if _public(keys) != _public(self._keys):
            log.info("signing keys fetched", kids=sorted(keys))
            self._keys = keys
            self.on_change()


def usable(document: Any) -> dict[str, Key]:
    """The public keys of a JWK Set by their ids, without those of unknown kinds.

    Raises ValueError when there is none: that is taken for a failure of the issuer, not for a withdrawal of
    all keys.
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
        raise ValueError("the key set has no public key with a kid")
    return keys


def _public(keys: dict[str, Key]) -> dict[str, object]:
    return {kid: key.as_dict(private=False) for kid, key in keys.items()}
