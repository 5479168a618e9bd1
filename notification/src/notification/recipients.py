"""Whom mails are counted for: by a keyed hash, so that nobody reads in the database who gets mail."""

from collections import OrderedDict
from datetime import datetime
from hashlib import blake2b

from chassis.messaging.sealed import SealKeys

_REMEMBERED = 10_000
_PERSON = b"mail recipients"


class PutOff(Exception):
    """The recipient has had as many mails within an hour as anybody gets: this one waits."""


class Recipients:
    """`keys` is the setting that seals addresses. Another first key counts everybody anew."""

    def __init__(self, keys: SealKeys) -> None:
        first = keys.get_secret_value().split(",")[0]
        self._key = blake2b(first.encode(), person=_PERSON).digest()
        self._put_off: OrderedDict[bytes, datetime] = OrderedDict()

    def hash(self, address: str) -> bytes:
        """The same for every spelling that reaches the same reader: case and what follows a `+` (RFC 5233)
        make no difference."""
        local, _, domain = address.lower().rpartition("@")
        reader = f"{local.partition('+')[0]}@{domain}"
        return blake2b(reader.encode(), key=self._key, digest_size=16).digest()

    def put_off(self, hashed: bytes, until: datetime) -> None:
        """Remember, so that this process need not call the mail server to find out again."""
        self._put_off[hashed] = until
        if len(self._put_off) > _REMEMBERED:
            self._put_off.popitem(last=False)

    def refuse_put_off(self, hashed: bytes, now: datetime) -> None:
        """Raises PutOff while the recipient has had enough."""
        until = self._put_off.get(hashed)
        if until is not None and now < until:
            raise PutOff(f"until {until:%H:%M:%S} UTC")
        self._put_off.pop(hashed, None)
