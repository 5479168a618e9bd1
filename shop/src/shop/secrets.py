"""Everything secret about one stack: generated when first asked for, one file each, for the owner's eyes."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from joserfc.jwk import ECKey

from shop.errors import ShopError

SIGNING_KEYS = "signing-keys.json"


def role_secret(role: str) -> str:
    """The name of a PostgreSQL role's password: `postgres-order-owner`."""
    return f"postgres-{role.replace('_', '-')}"


def _signing_keys() -> str:
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
    return json.dumps({"keys": [key.as_dict(private=True)]})


_MAKERS: dict[str, Callable[[], str]] = {
    SIGNING_KEYS: _signing_keys,
    "contact-key": lambda: Fernet.generate_key().decode(),
    "action-key": lambda: Fernet.generate_key().decode(),
    "stripe-api-key": lambda: f"sk_test_{secrets.token_hex(16)}",
    "stripe-webhook-secret": lambda: f"whsec_{secrets.token_hex(16)}",
}


class Secrets:
    """Names are files; one with no maker of its own is a random password, safe in URLs, SQL and shells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """The file that holds the secret, written if it was not there."""
        file = self._folder / name
        if not file.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_once(file, _MAKERS.get(name, lambda: secrets.token_hex(16))())
        return file

    def read(self, name: str) -> str:
        return _value(self.path(name))

    def held(self, name: str) -> str:
        """One that somebody else has made. Raises ShopError when it is not there."""
        try:
            return _value(self._folder / name)
        except OSError as error:
            raise ShopError(f"{self._folder / name}: {error.strerror}") from error


def _value(file: Path) -> str:
    """Who puts in a secret of their own leaves a newline after it."""
    return file.read_text().removesuffix("\n")


def _write_once(file: Path, text: str) -> None:
    """Two processes may ask at once: the first one's value stands, and nobody ever reads half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    with draft.open("w") as whole:
        whole.write(text)
        whole.flush()
        os.fsync(whole.fileno())  # an empty file would stand for ever
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
