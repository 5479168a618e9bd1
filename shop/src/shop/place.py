"""A shop as its operator reaches it, wherever it runs."""

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from shop.management import Management

OPERATOR = "operator"  # superuser of PostgreSQL and administrator of RabbitMQ
SERVICES = ("auth", "product", "cart", "order", "payment", "notification")


class Place(Protocol):
    """Addresses and the operator's ways in. A place that was not told one of them raises ShopError."""

    @property
    def gateway_url(self) -> str: ...

    @property
    def sandbox_url(self) -> str: ...

    @property
    def provider_url(self) -> str:
        """Of the payment provider's API: Stripe's, or the sandbox's."""

    @property
    def provider_key(self) -> str:
        """One with which the provider's lists can be read."""

    @property
    def mailbox_url(self) -> str:
        """Of the mailbox, or of Mailpit."""

    @property
    def management_url(self) -> str:
        """RabbitMQ's management API."""

    @property
    def operator_amqp_url(self) -> str:
        """With user and password."""

    @property
    def admin_email(self) -> str: ...

    @property
    def admin_password(self) -> str: ...

    @property
    def customers_secret(self) -> str:
        """What a replay makes its customers' passwords from."""

    @property
    def nudge_days(self) -> int:
        """For how long after an order was placed every service knows what it did for it."""

    @property
    def topology(self) -> Path | None:
        """The file of the broker's definitions, where the place has one of its own."""

    def operator_dsn(self, database: str = "postgres") -> str:
        """For asyncpg and psql; as superuser."""


def management(place: Place) -> Management:
    """The broker's management API as the operator."""
    login = urlsplit(place.operator_amqp_url)
    return Management(place.management_url, operator_of(place), unquote(login.password or ""))


def operator_of(place: Place) -> str:
    """The operator's user at the broker."""
    return unquote(urlsplit(place.operator_amqp_url).username or "")
