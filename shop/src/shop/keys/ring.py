"""Auth's signing keys and the order in which a rotation goes: a key is added, used, retired, dropped.

`added_at` and `retired_at` are ours, in seconds of the epoch; what auth publishes does not have them.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from auth.operations import LONGEST_TOKEN, PUBLISHED_SECONDS
from shop.errors import ShopError

_LEEWAY_SECONDS = 60  # of verifiers' clocks, generously
LONGEST_TOKEN_SECONDS = LONGEST_TOKEN + _LEEWAY_SECONDS


class UnsafeRotation(ShopError):
    """The change would lock somebody out."""


@dataclass(frozen=True)
class SigningKey:
    """`jwk` is private. One that was never used has not been retired either."""

    jwk: dict[str, Any]

    @classmethod
    def made(cls, now: int) -> Self:
        kid = f"{datetime.fromtimestamp(now, UTC):%Y%m%d}-{secrets.token_hex(4)}"
        key = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})
        return cls({**key.as_dict(private=True), "added_at": now})

    @property
    def kid(self) -> str:
        return str(self.jwk["kid"])

    @property
    def added_at(self) -> int:
        """A key that came with the shop has been there from the beginning."""
        return int(self.jwk.get("added_at", 0))

    @property
    def retired_at(self) -> int | None:
        return self.jwk.get("retired_at")


@dataclass(frozen=True)
class Ring:
    """The first key signs, all are published."""

    keys: Sequence[SigningKey]

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ShopError."""
        try:
            held = KeySet([ECKey.import_key(entry) for entry in json.loads(text)["keys"]])  # each has a kid
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise ShopError(f"not a set of signing keys: {error}") from error
        if not held.keys:
            raise ShopError("there are no signing keys")
        return cls([SigningKey(dict(key.dict_value)) for key in held.keys])

    def text(self) -> str:
        return json.dumps({"keys": [key.jwk for key in self.keys]})

    @property
    def signer(self) -> SigningKey:
        return self.keys[0]

    @property
    def waiting(self) -> SigningKey | None:
        """Added, and not yet used."""
        return next((key for key in self.keys[1:] if key.retired_at is None), None)

    def key(self, name: str) -> SigningKey:
        """By its kid or the beginning of it."""
        found = [key for key in self.keys if key.kid.startswith(name)]
        if len(found) != 1:
            raise ShopError(f"{'no' if not found else 'more than one'} key is called {name}")
        return found[0]

    def add(self, key: SigningKey) -> Self:
        """Published from now on, and signing nothing."""
        if self.waiting is not None:
            raise UnsafeRotation(f"{self.waiting.kid} is added and not yet used: use or drop it first")
        return replace(self, keys=[*self.keys, key])

    def use(self, key: SigningKey, now: int) -> Self:
        """It signs from now on; what signed until now is retired, and stays for the tokens that are about."""
        if key.kid == self.signer.kid:
            raise UnsafeRotation(f"{key.kid} is the signing key already")
        if "d" not in key.jwk:
            raise UnsafeRotation(f"{key.kid} has no private part")
        used = SigningKey({name: value for name, value in key.jwk.items() if name != "retired_at"})
        retired = SigningKey({**self.signer.jwk, "retired_at": now})
        return replace(self, keys=[used, retired, *(one for one in self.keys[1:] if one.kid != key.kid)])

    def drop(self, key: SigningKey, now: int, *, with_its_tokens: bool) -> Self:
        """Gone. `with_its_tokens`: also while there may be some that it has signed."""
        if key.kid == self.signer.kid:
            raise UnsafeRotation(f"{key.kid} is the signing key: use another first")
        until = last_token_until(key)
        if until is not None and until > now and not with_its_tokens:
            raise UnsafeRotation(
                f"tokens of {key.kid} are valid until {_time(until)}: drop it then, or pass --now"
            )
        return replace(self, keys=[one for one in self.keys if one.kid != key.kid])


def last_token_until(key: SigningKey) -> int | None:
    """When the last token of a retired key expires; `None` if the key has signed nothing."""
    return None if key.retired_at is None else key.retired_at + LONGEST_TOKEN_SECONDS


def refuse_too_new(key: SigningKey, now: int) -> None:
    """For a shop whose verifiers cannot be asked. Raises UnsafeRotation while one may not have the key."""
    until = key.added_at + PUBLISHED_SECONDS
    if now < until:
        raise UnsafeRotation(f"verifiers may not have {key.kid} before {_time(until)}: use it then")


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
