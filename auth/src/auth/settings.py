"""What auth is told: keys, the first admin, how long tokens live, how often one may try a password."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from auth.domain import address
from auth.keys import SigningKeys
from chassis.sealed import SealKeys
from chassis.settings import Seconds, ServiceSettings


def _readable(path: Path) -> Path:
    SigningKeys.read(path)
    return path


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: the first seals. `forwarded_hops` is how many
    proxies in front append to X-Forwarded-For (0: believe the socket)."""

    signing_keys_file: Annotated[Path, AfterValidator(_readable)]
    contact_key: SealKeys
    admin_email: Annotated[str, AfterValidator(address)] | None = None
    admin_password: SecretStr | None = None

    access_seconds: Seconds = 15 * 60
    guest_seconds: Seconds = 24 * 60 * 60
    session_idle_seconds: Seconds = 14 * 24 * 60 * 60
    session_seconds: Seconds = 90 * 24 * 60 * 60

    login_attempts: Annotated[int, Field(ge=1)] = 10
    login_attempts_per_address: Annotated[int, Field(ge=1)] = 100
    login_window_seconds: Seconds = 15 * 60
    forwarded_hops: Annotated[int, Field(ge=0, le=10)] = 1

    hashing_threads: Annotated[int, Field(ge=1)] = 2
    hashing_queue: Annotated[int, Field(ge=1)] = 100
