"""TLS certificates for the servers of a shop, issued by a CA of its own.

The vault keeps `ca.pem` and `ca-key.pem`, and for each server `NAME.pem` and `NAME-key.pem`. The keys are
elliptic-curve keys on P-256. A certificate that is there stays, so one's own can be put in; those of this CA
are renewed. Source of the fields: RFC 5280.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shop.errors import ShopError
from shop.machine import write

CA = "ca"
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Saga Shop CA")])
_CA_DAYS = 3652
_SERVER_DAYS = 397
_RENEW_DAYS = 30
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_CLOCK_SKEW = timedelta(hours=1)
_DIGITAL_SIGNATURE = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
_SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)


def provide(vault: Path, name: str, hosts: Sequence[str]) -> None:
    """See to it that the vault has a certificate `NAME.pem` and its key `NAME-key.pem`.

    `hosts`: DNS names and IP addresses of the server.

    One's own certificate is left as it is. One of the CA `ca.pem` is issued if there is none, and again, for
    the same key, when it ends within 30 days, is for other hosts, or is of an earlier CA. Raises ShopError if
    a file cannot be read, is invalid or does not fit its key, if a host has an invalid name, or if `ca.pem`
    is one's own: then so must be the certificates.
    """
    certificate = _read_certificate(vault / f"{name}.pem")
    if certificate is not None and certificate.issuer != _NAME:
        if certificate.public_key() != _read_key(vault / f"{name}-key.pem").public_key():
            raise ShopError(f"{vault / name}.pem: not the certificate of {name}-key.pem")
        return
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    ca, ca_key = _provide_ca(vault, name)
    key = _provide_key(vault / f"{name}-key.pem")
    if certificate is None or not _is_current(certificate, key, ca, names):
        write(vault / f"{name}.pem", _pem(_issue_server(name, names, key, ca, ca_key)))


def _provide_ca(vault: Path, server: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    file = vault / f"{CA}.pem"
    ca = _read_certificate(file)
    if ca is not None and ca.subject != _NAME:
        raise ShopError(f"{file} is not the shop's own: put {server}.pem and {server}-key.pem beside it")
    key = _provide_key(vault / f"{CA}-key.pem")
    if ca is None or ca.public_key() != key.public_key() or _ends_within(ca, _SERVER_DAYS + _RENEW_DAYS):
        ca = _issue_ca(key)
        write(file, _pem(ca))
    return ca, key


def _is_current(
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    names: x509.SubjectAlternativeName,
) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same = set(present) == set(names) and certificate.public_key() == key.public_key()
    return same and not _ends_within(certificate, _RENEW_DAYS)


def _issue_ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder(_NAME, key, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )


def _issue_server(
    name: str,
    names: x509.SubjectAlternativeName,
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    ca_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id)
    return (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, _SERVER_DAYS)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    start = datetime.now(UTC).replace(microsecond=0) - _CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days, seconds=-1))  # both ends count: RFC 5280, 4.1.2.5
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _ends_within(certificate: x509.Certificate, days: int) -> bool:
    return certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=days)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise ShopError(f"{host!r} is no host name; write an international one as xn--…") from None
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _provide_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the file, made if there is none."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = ec.generate_private_key(ec.SECP256R1())
        encoded = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write(file, encoded.decode(), once=True)
    key = _read_key(file)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ShopError(f"{file}: no elliptic-curve key")
    return key


def _read_key(file: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise ShopError(f"{file}: {error.strerror}") from error
    except (ValueError, TypeError):
        raise ShopError(f"{file}: no private key in PEM without a password") from None


def _read_certificate(file: Path) -> x509.Certificate | None:
    """The first certificate in the file, which may have intermediate ones after it."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ShopError(f"{file}: {error.strerror}") from error
    except ValueError:
        raise ShopError(f"{file}: no certificate in PEM") from None
