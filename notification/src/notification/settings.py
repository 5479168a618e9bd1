"""What notification is told: where mail is handed over, in whose name, and for how long to try."""

from email.utils import parseaddr
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from chassis.sealed import SealKeys
from chassis.settings import Seconds, ServiceSettings
from notification.mime import is_mailbox


def _sender(text: str) -> str:
    if not is_mailbox(parseaddr(text)[1]):
        raise ValueError("must be a mailbox, for example `Saga Shop <shop@example.com>`")
    return text


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: any of them opens.

    `smtp_timeout` spans one letter from connecting to acceptance; more than half a lease does not fit.
    """

    contact_key: SealKeys
    mail_from: Annotated[str, AfterValidator(_sender)]
    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=32)] = 4
    smtp_idle: Seconds = 15
    consume_linger: Annotated[float, Field(ge=0)] = 0.25  # a letter may be a moment late
    settle_linger: Annotated[float, Field(ge=0)] = 0.25
    smtp_timeout: Annotated[float, Field(gt=0, le=30)] = 25
    letter_keep_trying: Seconds = 3 * 24 * 60 * 60
