"""TLS to PostgreSQL, RabbitMQ and the mail server: with a file of CAs, the server's certificate and host name
are verified. There is no TLS that is not verified.

A URL carries the file in the words of its client: `sslrootcert` is libpq's and asyncpg's, `cafile` aiormq's.
"""

import ssl
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator
from sqlalchemy import URL, make_url

from chassis.errors import ChassisError

_VERIFIED = "verify-full"


class UntrustedServer(ChassisError):
    """A server has no certificate that a CA of the file has issued for its host name, or none at all."""


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Accepts servers with a certificate by a CA of the file (PEM), or of the platform if there is none.

    Raises `ValueError` if the file cannot be read or has no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"{ca_file} holds no certificate in PEM") from None
    except OSError as error:
        raise ValueError(f"cannot read {ca_file}: {error.strerror}") from None


def _checked(ca_file: str) -> str:
    client_context(ca_file)
    return ca_file


CaFile = Annotated[str, AfterValidator(_checked)]
"""The path of a file of CA certificates in PEM."""


def verified_database_url(url: str, ca_file: str | None) -> str:
    """The URL with the file in it. Raises `ValueError` if it asks for TLS that is not verified, names another
    file, or no host."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "ssl" in given or given.get("sslmode", _VERIFIED) != _VERIFIED:
        raise ValueError("asks for TLS that is not verified: give the file of its CA instead")
    if ca_file is None:
        return url
    if not parts.hostname:
        raise ValueError("names no host, and a CA file is given")
    return _with_ca(parts, given | {"sslmode": _VERIFIED}, "sslrootcert", ca_file)


def verified_amqp_url(url: str, ca_file: str | None) -> str:
    """Likewise, for RabbitMQ."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "no_verify_ssl" in given:
        raise ValueError("asks for TLS that is not verified")
    if ca_file is None:
        return url
    if parts.scheme != "amqps":
        raise ValueError("must begin with amqps://, because a CA file is given")
    return _with_ca(parts, given, "cafile", ca_file)


def _with_ca(parts: SplitResult, given: Mapping[str, str], name: str, ca_file: str) -> str:
    if given.get(name, ca_file) != ca_file:
        raise ValueError("names a CA file, and another is given apart")
    return parts._replace(query=urlencode({**given, name: ca_file}, safe="/")).geturl()


def split_database_url(url: str) -> tuple[URL, dict[str, Any]]:
    """The URL without its CA file, which SQLAlchemy cannot pass on, and the arguments for asyncpg instead."""
    parsed = make_url(url)
    ca_file = parsed.query.get("sslrootcert")
    if ca_file is None:
        return parsed, {}
    assert isinstance(ca_file, str)
    return parsed.difference_update_query(["sslmode", "sslrootcert"]), {"ssl": client_context(ca_file)}


def distrust(error: BaseException) -> str | None:
    """Why a server was not trusted, if that is the error or its cause."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
