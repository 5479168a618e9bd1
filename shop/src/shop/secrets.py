"""The secrets of one stack: generated on first use, one file each, readable only by the owner."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from joserfc.jwk import ECKey

from shop.errors import ShopError
from shop.machine import write

SIGNING_KEYS = "signing-keys.json"


def role_secret(role: str) -> str:
    """The name of a PostgreSQL role's password: `postgres-order-owner`."""
    return f"postgres-{role.replace('_', '-')}"


def _signing_keys() -> str:
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
    return json.dumps({"keys": [key.as_dict(private=True)]})


_GENERATORS: dict[str, Callable[[], str]] = {
    SIGNING_KEYS: _signing_keys,
    "contact-key": lambda: Fernet.generate_key().decode(),
    "action-key": lambda: Fernet.generate_key().decode(),
    "stripe-api-key": lambda: f"sk_test_{secrets.token_hex(16)}",
    "stripe-webhook-secret": lambda: f"whsec_{secrets.token_hex(16)}",
}


class Secrets:
    """Each name is a file; without a generator of its own a random password, safe in URLs, SQL and shells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """The file that holds the secret, written if it was not there."""
        file = self._folder / name
        if not file.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(file, _GENERATORS.get(name, lambda: secrets.token_hex(16))(), once=True)
        return file

    def read(self, name: str) -> str:
        return _value(self.path(name))

    def held(self, name: str) -> str:
        """One that exists already. Raises ShopError if it does not."""
        try:
            return _value(self._folder / name)
        except OSError as error:
            raise ShopError(f"{self._folder / name}: {error.strerror}") from error


def _value(file: Path) -> str:
    """Editors leave a newline after a secret that was entered by hand."""
    return file.read_text().removesuffix("\n")
