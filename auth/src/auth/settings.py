"""Auth's own settings: keys, staff, lifetimes of tokens, limits on login attempts."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, model_validator

from auth.domain import SessionRules, address
from auth.keys import KeyFile, Keys, SigningKeys
from auth.tokens import AccessTokens
from chassis.http.origin import Proxies, TrustedProxies
from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.settings import Seconds, ServiceSettings

Given = TypeVar("Given", Path, SecretStr)


def _keys(given: Path | SecretStr) -> Keys:
    if isinstance(given, Path):
        return KeyFile(given)
    return SigningKeys.parse(given.get_secret_value(), "SIGNING_KEYS")


def _usable(given: Given) -> Given:
    _keys(given)
    return given


LONGEST_TOKEN = 24 * 60 * 60  # seconds; a retired key stays published for as long
TokenSeconds = Annotated[float, Field(gt=0, le=LONGEST_TOKEN)]


class Settings(ServiceSettings):
    """Signing keys are a private JWK set, as text or in a file, which may change while auth runs.

    `contact_key` may list several keys, comma-separated: the first encrypts. `trusted_proxies` are the
    proxies before the gateway whose `X-Forwarded-For` is trusted: addresses and CIDR blocks, comma-separated.
    `admin_email` and `warehouse_email` get an account of that role when auth starts, if there is none.
    At most `mails_per_address` mails with a token go to an address within `mail_window_seconds`.
    For `refresh_grace_seconds` after a refresh, the same refresh token gives the same answer again; 0 for
    never.
    """

    signing_keys: Annotated[SecretStr, AfterValidator(_usable)] | None = None
    signing_keys_file: Annotated[Path, AfterValidator(_usable)] | None = None
    contact_key: EncryptionKeys
    admin_email: Annotated[str, AfterValidator(address)] | None = None
    admin_password: SecretStr | None = None
    warehouse_email: Annotated[str, AfterValidator(address)] | None = None
    warehouse_password: SecretStr | None = None

    access_seconds: TokenSeconds = 15 * 60
    guest_seconds: TokenSeconds = LONGEST_TOKEN
    session_idle_seconds: Seconds = 14 * 24 * 60 * 60
    session_seconds: Seconds = 90 * 24 * 60 * 60
    refresh_grace_seconds: Annotated[float, Field(ge=0, le=60)] = 10

    login_attempts: Annotated[int, Field(ge=1)] = 10
    login_attempts_per_address: Annotated[int, Field(ge=1)] = 100
    login_window_seconds: Seconds = 15 * 60
    registration_conflicts: Annotated[int, Field(ge=1)] = 20
    registration_window_seconds: Seconds = 15 * 60
    reset_token_seconds: Seconds = 60 * 60
    confirmation_token_seconds: Seconds = 7 * 24 * 60 * 60
    mails_per_address: Annotated[int, Field(ge=1)] = 3
    mail_requests_per_network: Annotated[int, Field(ge=1)] = 20
    mail_window_seconds: Seconds = 15 * 60
    trusted_proxies: TrustedProxies = Proxies()

    hashing_threads: Annotated[int, Field(ge=1)] = 2
    hashing_queue: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _one_key_set(self) -> Self:
        if (self.signing_keys is None) == (self.signing_keys_file is None):
            raise ValueError("give either SIGNING_KEYS_FILE or SIGNING_KEYS")
        return self

    def access_tokens(self, keys: Keys) -> AccessTokens:
        return AccessTokens(
            keys, self.token_issuer, self.token_audience, self.access_seconds, self.guest_seconds
        )

    def session_rules(self) -> SessionRules:
        return SessionRules(
            idle=timedelta(seconds=self.session_idle_seconds),
            longest=timedelta(seconds=self.session_seconds),
            grace=timedelta(seconds=self.refresh_grace_seconds),
        )

    def reset_lifetime(self) -> timedelta:
        return timedelta(seconds=self.reset_token_seconds)

    def confirmation_lifetime(self) -> timedelta:
        return timedelta(seconds=self.confirmation_token_seconds)

    def read_signing_keys(self) -> Keys:
        """Raises BadSigningKeys."""
        given = self.signing_keys_file or self.signing_keys
        assert given is not None
        return _keys(given)
