"""The secrets of one stack: generated on first use, one file each, readable only by the owner.

A password's file has two lines while it is rotated: the new one, which servers get, and the old one.
"""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from joserfc.jwk import ECKey

from chassis.secret_files import PasswordFile, UnusableFile
from shop.errors import ShopError
from shop.machine import write

SIGNING_KEYS = "signing-keys.json"


def role_secret(role: str) -> str:
    """The name of a PostgreSQL role's password: `postgres-order-owner`."""
    return f"postgres-{role.replace('_', '-')}"


def _signing_keys() -> str:
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
    return json.dumps({"keys": [key.as_dict(private=True)]})


def _password() -> str:
    return secrets.token_hex(16)


_GENERATORS: dict[str, Callable[[], str]] = {
    SIGNING_KEYS: _signing_keys,
    "contact-key": lambda: Fernet.generate_key().decode(),
    "action-key": lambda: Fernet.generate_key().decode(),
    "session-key": lambda: Fernet.generate_key().decode(),
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
            write(file, _GENERATORS.get(name, _password)(), once=True)
        return file

    def read(self, name: str) -> str:
        return _value(self.path(name))

    def password(self, name: str) -> str:
        """The password that the server gets. Raises ShopError if the file has none."""
        self.path(name)
        return self.held_password(name)

    def held_password(self, name: str) -> str:
        """Likewise; raises ShopError, too, if there is no such file."""
        return self._passwords(name)[0]

    def begin_rotation(self, name: str) -> bool:
        """Put a new password before the one that is there. Returns False if that has been done already.

        Raises ShopError if there is none."""
        old, *others = self._passwords(name)
        if others:
            return False
        write(self._folder / name, f"{_password()}\n{old}\n")
        return True

    def finish_rotation(self, name: str) -> bool:
        """Keep the new password alone. Returns False if it is alone. Raises ShopError if there is none."""
        new, *others = self._passwords(name)
        if others:
            write(self._folder / name, new)
        return bool(others)

    def _passwords(self, name: str) -> tuple[str, ...]:
        try:
            return PasswordFile(self._folder / name).read()
        except UnusableFile as error:
            raise ShopError(str(error)) from error


def _value(file: Path) -> str:
    """Editors leave a newline after a secret that was entered by hand."""
    return file.read_text().removesuffix("\n")
