"""The storefront's settings, from the environment."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from cryptography.fernet import Fernet
from pydantic import AfterValidator, Field, IPvAnyAddress, SecretStr, model_validator
from pydantic_settings import BaseSettings

_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(:[0-9]{1,5})?")
_LOCAL = ("localhost", "127.0.0.1")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def _origins(text: str) -> str:
    origins = []
    for one in map(str.strip, text.split(",")):
        found = _ORIGIN.fullmatch(one)
        if found is None:
            raise ValueError(f"must be an origin in lower case, without a path: {one}")
        if found[1] != "https" and found[2] not in _LOCAL:
            raise ValueError(f"must be https, or http on localhost: {one}")
        origins.append(one.removesuffix(_DEFAULT_PORTS[found[1]]))  # as browsers send it
    return ",".join(origins)


def _fernet_keys(keys: SecretStr) -> SecretStr:
    try:
        for key in keys.get_secret_value().split(","):
            Fernet(key)
    except ValueError:
        raise ValueError("must be Fernet keys: 32 bytes in URL-safe base64, comma-separated") from None
    return keys


class Settings(BaseSettings):
    """`gateway_url` is where the storefront calls the public API. It calls from this machine's address
    `call_from`, if that is set: the gateway trusts what a proxy with that address forwards.

    `shop_origins` are the origins at which browsers reach the pages, comma-separated. Forms are accepted from
    these alone; the first is in canonical links. If that is `https`, cookies are `Secure`.

    `session_key` may list several keys, comma-separated: the first encrypts, all of them decrypt. Or
    `SESSION_KEY_FILE` names a file with it.

    With `stripe_publishable_key` the checkout shows Stripe's Payment Element, and its page may load what that
    needs from Stripe; without it, the sandbox's test cards.

    A call to the API may take `api_timeout` seconds.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 18010
    log_level: str = "info"
    gateway_url: Annotated[str, Field(pattern=r"^https?://")]
    call_from: IPvAnyAddress | None = None
    shop_origins: Annotated[str, AfterValidator(_origins)]
    session_key: Annotated[SecretStr, AfterValidator(_fernet_keys)]
    stripe_publishable_key: Annotated[str, Field(pattern=r"^(pk_(test|live)_[A-Za-z0-9_]+)?$")] = ""
    api_timeout: Annotated[float, Field(gt=0)] = 10

    @model_validator(mode="before")
    @classmethod
    def _key_from_file(cls, given: dict[str, Any]) -> dict[str, Any]:
        file = os.environ.get("SESSION_KEY_FILE")
        if file and "session_key" not in given:
            try:
                return {**given, "session_key": Path(file).read_text().strip()}
            except OSError as error:
                raise ValueError(f"SESSION_KEY_FILE: {error.strerror}: {file}") from None
        return given

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(self.shop_origins.split(","))

    @property
    def secure(self) -> bool:
        """Whether cookies are sent over TLS only."""
        return self.origins[0].startswith("https://")
