"""Recipients are counted by a keyed hash, so that the database does not show who gets mail."""

from collections import OrderedDict
from datetime import datetime

from chassis.messaging.encryption import EncryptionKeys, KeyedHash

_REMEMBERED = 10_000


class PutOff(Exception):
    """The recipient has had the maximum of mails within an hour: this one waits."""


class Recipients:
    """`keys` is the setting `contact_key`. A new first key restarts all counts."""

    def __init__(self, keys: EncryptionKeys) -> None:
        self._hash = KeyedHash(keys, b"mail recipients")
        self._put_off: OrderedDict[bytes, datetime] = OrderedDict()

    def hash(self, address: str) -> bytes:
        """The same for every spelling of an address: case and what follows a `+` (RFC 5233) are ignored."""
        local, _, domain = address.lower().rpartition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        return self._hash.digest(mailbox)

    def put_off(self, hashed: bytes, until: datetime) -> None:
        """Remember the limit, so that this process need not connect to the mail server to find out again."""
        self._put_off[hashed] = until
        if len(self._put_off) > _REMEMBERED:
            self._put_off.popitem(last=False)

    def raise_if_put_off(self, hashed: bytes, now: datetime) -> None:
        """Raises PutOff until the recipient may get mail again."""
        until = self._put_off.get(hashed)
        if until is not None and now < until:
            raise PutOff(f"until {until:%H:%M:%S} UTC")
        self._put_off.pop(hashed, None)
