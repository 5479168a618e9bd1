"""Where orders are placed from: by a keyed hash, so that nobody reads in the database who ordered where."""

from hashlib import blake2b

from pydantic import SecretStr

from chassis.http.origin import Origin

_PERSON = b"order networks"


class Networks:
    """`keys` is the setting that seals contacts. Another first key counts everybody anew."""

    def __init__(self, keys: SecretStr) -> None:
        first = keys.get_secret_value().split(",")[0]
        self._key = blake2b(first.encode(), person=_PERSON).digest()

    def hash(self, origin: Origin) -> bytes | None:
        """16 bytes; `None` where the client's address is not known, so that its like are not counted as
        one network."""
        if not origin.is_known:
            return None
        return blake2b(origin.network.encode(), key=self._key, digest_size=16).digest()
