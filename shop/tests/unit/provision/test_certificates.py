"""Python's own TLS accepts what the shop's CA issues, for its hosts alone."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shop.errors import ShopError
from shop.provision import certificates

HOSTS = ["postgres", "127.0.0.1", "::1"]


def connect(server: Path, client: Path, host: str, name: str = "postgres") -> None:
    """A handshake in memory. Raises `ssl.SSLError` if the client refuses the server."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(server / f"{name}.pem", server / f"{name}-key.pem")
    trusting = ssl.create_default_context(cafile=client / "ca.pem")
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = listening.wrap_bio(up, down, server_side=True)
    ours = trusting.wrap_bio(down, up, server_hostname=host)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.version() == "TLSv1.3"


def load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def put_own(vault: Path, name: str, ends: datetime) -> None:
    """One's own certificate, as if a CA elsewhere had issued it."""
    key = ec.generate_private_key(ec.SECP384R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, "Elsewhere")]
    certificate = (
        x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=90))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    vault.mkdir(exist_ok=True)
    (vault / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (vault / f"{name}-key.pem").write_bytes(private)


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, *_: object) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr(certificates, "datetime", Clock)


def contents(vault: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in vault.iterdir()}


@pytest.mark.parametrize("host", HOSTS)
def test_a_client_that_has_the_ca_accepts_the_certificate_for_each_host(tmp_path: Path, host: str) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)

    connect(tmp_path, tmp_path, host)


@pytest.mark.parametrize("host", ["rabbitmq", "127.0.0.2"])
def test_a_client_refuses_the_certificate_for_another_host(tmp_path: Path, host: str) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        connect(tmp_path, tmp_path, host)


def test_a_client_of_another_ca_refuses_the_certificate(tmp_path: Path) -> None:
    for shop in ("one", "other"):
        certificates.provide(tmp_path / shop, "postgres", HOSTS)

    with pytest.raises(ssl.SSLCertVerificationError):
        connect(tmp_path / "one", tmp_path / "other", "postgres")


def test_servers_share_the_ca_and_each_has_a_key_of_its_own(tmp_path: Path) -> None:
    for name in ("postgres", "rabbitmq"):
        certificates.provide(tmp_path, name, [name])

    connect(tmp_path, tmp_path, "rabbitmq", "rabbitmq")
    connect(tmp_path, tmp_path, "postgres", "postgres")
    keys = {(tmp_path / f"{name}-key.pem").read_text() for name in ("ca", "postgres", "rabbitmq")}
    assert len(keys) == 3


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    certificates.provide(tmp_path / "vault", "postgres", HOSTS)

    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    for name in ("ca", "postgres"):
        assert stat.S_IMODE((tmp_path / "vault" / f"{name}-key.pem").stat().st_mode) == 0o600


def test_the_certificates_have_the_fields_of_rfc_5280(tmp_path: Path) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    server, ca = load(tmp_path / "postgres.pem"), load(tmp_path / "ca.pem")

    for certificate, days in ((server, 397), (ca, 3652)):
        whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc + timedelta(seconds=1)
        assert whole == timedelta(days=days)
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        assert 0 < certificate.serial_number < 2**159
    usage = {
        certificate: certificate.extensions.get_extension_for_class(x509.KeyUsage)
        for certificate in (server, ca)
    }
    assert (usage[server].critical, usage[server].value.digital_signature) == (True, True)
    assert not usage[server].value.key_cert_sign
    assert (usage[ca].critical, usage[ca].value.key_cert_sign) == (True, True)
    assert not usage[ca].value.digital_signature
    assert list(server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value) == (True, x509.BasicConstraints(ca=True, path_length=0))


def test_what_is_there_stays(tmp_path: Path) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    before = contents(tmp_path)

    certificates.provide(tmp_path, "postgres", HOSTS)

    assert contents(tmp_path) == before


@pytest.mark.parametrize(("days", "renewed"), [(397 - 31, False), (397 - 29, True), (500, True)])
def test_a_certificate_is_renewed_thirty_days_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, renewed: bool
) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    before = contents(tmp_path)

    later(monkeypatch, days)
    certificates.provide(tmp_path, "postgres", HOSTS)

    changed = {name for name, text in contents(tmp_path).items() if before[name] != text}
    assert changed == ({"postgres.pem"} if renewed else set())


def test_a_renewed_ca_keeps_its_key_so_that_both_accept_older_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    before = contents(tmp_path)

    later(monkeypatch, 3652 - 400)
    certificates.provide(tmp_path, "rabbitmq", ["rabbitmq"])

    after = contents(tmp_path)
    assert after["ca.pem"] != before["ca.pem"]
    assert after["ca-key.pem"] == before["ca-key.pem"]
    load(tmp_path / "postgres.pem").verify_directly_issued_by(load(tmp_path / "ca.pem"))


def test_other_hosts_take_another_certificate(tmp_path: Path) -> None:
    certificates.provide(tmp_path, "postgres", ["postgres"])
    certificates.provide(tmp_path, "postgres", ["postgres", "db.example.com"])

    connect(tmp_path, tmp_path, "db.example.com")


def test_a_certificate_of_a_ca_that_was_thrown_away_is_replaced(tmp_path: Path) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    for file in ("ca.pem", "ca-key.pem"):
        (tmp_path / file).unlink()

    certificates.provide(tmp_path, "postgres", HOSTS)

    connect(tmp_path, tmp_path, "postgres")


def test_a_run_that_was_broken_off_is_completed(tmp_path: Path) -> None:
    certificates.provide(tmp_path, "postgres", HOSTS)
    key = (tmp_path / "postgres-key.pem").read_text()
    (tmp_path / "postgres.pem").unlink()

    certificates.provide(tmp_path, "postgres", HOSTS)

    assert (tmp_path / "postgres-key.pem").read_text() == key
    connect(tmp_path, tmp_path, "postgres")


@pytest.mark.parametrize("days", [-1, 7])
def test_ones_own_certificate_stays_even_when_it_ends(tmp_path: Path, days: int) -> None:
    put_own(tmp_path, "postgres", datetime.now(UTC) + timedelta(days=days))
    before = contents(tmp_path)

    certificates.provide(tmp_path, "postgres", HOSTS)

    assert contents(tmp_path) == before


def test_ones_own_certificate_with_another_key_is_refused(tmp_path: Path) -> None:
    put_own(tmp_path, "rabbitmq", datetime.now(UTC) + timedelta(days=90))
    put_own(tmp_path, "postgres", datetime.now(UTC) + timedelta(days=90))
    (tmp_path / "rabbitmq-key.pem").rename(tmp_path / "postgres-key.pem")

    with pytest.raises(ShopError, match="not the certificate of postgres-key"):
        certificates.provide(tmp_path, "postgres", HOSTS)


def test_ones_own_ca_takes_ones_own_certificates(tmp_path: Path) -> None:
    put_own(tmp_path, "ca", datetime.now(UTC) + timedelta(days=90))

    with pytest.raises(ShopError, match=r"put postgres\.pem and postgres-key\.pem beside it"):
        certificates.provide(tmp_path, "postgres", HOSTS)


@pytest.mark.parametrize(
    ("file", "error"), [("postgres.pem", "no certificate"), ("ca-key.pem", "no private key")]
)
def test_a_file_that_holds_something_else_is_refused_by_name(tmp_path: Path, file: str, error: str) -> None:
    (tmp_path / file).write_text("something else\n")

    with pytest.raises(ShopError, match=f"{file}: {error}"):
        certificates.provide(tmp_path, "postgres", HOSTS)


@pytest.mark.parametrize("host", ["bücher.example", "", "a b", "https://shop.example", "shop.example:8443"])
def test_what_is_no_host_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ShopError, match="is no host name"):
        certificates.provide(tmp_path, "postgres", [host])
