"""What each reader is handed, and that it stays so."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shop.broker.topology import password_hash
from shop.errors import ShopError
from shop.machine import project_root
from shop.provision.secrets import hand_out
from shop.secrets import Secrets
from shop.targets import SERVICES

_KONG = project_root() / "deploy" / "kong" / "kong.yml"
_LOGINS = {"database-password", "amqp-password"}
_PROVIDER = {"stripe-api-key", "stripe-webhook-secret"}
_READERS = {
    "auth": {*_LOGINS, "contact-key", "signing-keys.json", "admin-password", "warehouse-password"},
    "product": _LOGINS,
    "cart": _LOGINS,
    "order": {*_LOGINS, "contact-key", "action-key"},
    "payment": {*_LOGINS, *_PROVIDER, "action-key"},
    "notification": {*_LOGINS, "contact-key"},
    **{f"{service}-owner": {"database-password"} for service in SERVICES},
    "postgres": {"password"},
    "rabbitmq": {"definitions.json"},
    "redis": {"redis.conf"},
    "kong": {"kong.yml", "error.html", "kong.pem", "kong-key.pem"},
    "sandbox": _PROVIDER,
    "storefront": {"session-key"},
    "catalogue": {"admin-password"},
    "warehouse": {"warehouse-password"},
    "monitor": {"rabbitmq-password"},
    "operator": {"postgres-password", "rabbitmq-password", "admin-password", "stripe-api-key"},
}
_OTHERS_IMAGES = {"postgres", "rabbitmq", "redis", "kong"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    hand_out(folder, _KONG)
    return folder


def _texts(folder: Path) -> dict[Path, str]:
    return {file: file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_each_reader_has_what_it_needs_and_nothing_else(folder: Path) -> None:
    found = {
        reader.name: {file.name for file in reader.iterdir()}
        for reader in folder.iterdir()
        if reader.name != "vault"
    }

    assert found == _READERS


def test_with_tls_servers_have_certificates_and_their_clients_the_ca(tmp_path: Path) -> None:
    hand_out(tmp_path, _KONG, tls=True)

    servers = {
        name: {f"{name}.pem", f"{name}-key.pem"} for name in ("postgres", "rabbitmq", "redis", "mailpit")
    }
    assert {
        reader.name: {file.name for file in reader.iterdir()}
        for reader in tmp_path.iterdir()
        if reader.name != "vault"
    } == {
        reader: {
            *_READERS.get(reader, ()),
            *servers.get(reader, ()),
            *(
                {"ca.pem"}
                if reader
                not in {"postgres", "rabbitmq", "mailpit", "sandbox", "storefront", "catalogue", "warehouse"}
                else ()
            ),
        }
        for reader in (*_READERS, "mailpit")
    }
    for name in servers:
        subject = x509.load_pem_x509_certificate((tmp_path / name / f"{name}.pem").read_bytes())
        hosts = subject.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert hosts.get_values_for_type(x509.DNSName) == [name, "localhost"]


def test_with_tls_redis_listens_for_nothing_else_and_the_gateway_verifies_it(tmp_path: Path) -> None:
    hand_out(tmp_path, _KONG, tls=True)

    lines = (tmp_path / "redis" / "redis.conf").read_text().splitlines()
    assert {"port 0", "tls-port 6379", "tls-auth-clients no"} < set(lines)
    plugins = yaml.safe_load((tmp_path / "kong" / "kong.yml").read_text())["plugins"]
    [limits] = [plugin["config"]["redis"] for plugin in plugins if plugin["name"] == "rate-limiting"]
    assert (limits["ssl"], limits["ssl_verify"], limits["server_name"]) == (True, True, "redis")


def test_no_two_passwords_are_the_same(folder: Path) -> None:
    passwords = [file.read_text() for file in (folder / "vault").iterdir()]

    assert len(set(passwords)) == len(passwords) > 20


def test_who_has_to_agree_is_told_the_same(folder: Path) -> None:
    def read(path: str) -> str:
        return (folder / path).read_text()

    assert read("payment/stripe-api-key") == read("sandbox/stripe-api-key")
    assert read("auth/contact-key") == read("order/contact-key") == read("notification/contact-key")
    assert read("postgres/password") == read("operator/postgres-password")
    assert read("order-owner/database-password") == read("vault/postgres-order-owner")


def test_the_vault_is_for_its_owner_and_a_readers_files_are_written_by_nobody(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "vault").stat().st_mode) == 0o700
    for file in _texts(folder):
        reader = file.parent.name
        expected = 0o600 if reader == "vault" else 0o444 if reader in _OTHERS_IMAGES else 0o440
        assert stat.S_IMODE(file.stat().st_mode) == expected, file


def test_doing_it_again_changes_nothing(folder: Path) -> None:
    before = _texts(folder)

    assert hand_out(folder, _KONG) == []
    assert _texts(folder) == before


def test_what_is_missing_or_was_changed_is_put_back(folder: Path) -> None:
    before = _texts(folder)
    lost, spoilt, opened = (
        folder / path for path in ("order/amqp-password", "redis/redis.conf", "cart/amqp-password")
    )
    lost.unlink()
    spoilt.chmod(0o644)
    spoilt.write_text("protected-mode no\n")
    spoilt.chmod(0o444)
    opened.chmod(0o666)

    assert sorted(hand_out(folder, _KONG)) == sorted([lost, spoilt, opened])
    assert _texts(folder) == before
    assert stat.S_IMODE(opened.stat().st_mode) == 0o440


def test_a_secret_of_ones_own_is_taken_and_handed_on(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "stripe-api-key").write_text("sk_test_mine\n")

    hand_out(tmp_path, _KONG)

    assert (tmp_path / "payment" / "stripe-api-key").read_text() == "sk_test_mine"


def test_while_a_password_is_rotated_its_reader_gets_both_and_a_server_the_new_one(folder: Path) -> None:
    vault = Secrets(folder / "vault")
    for name in ("postgres-order", "postgres-operator", "rabbitmq-operator"):
        assert vault.begin_rotation(name)

    hand_out(folder, _KONG)

    both = (folder / "vault" / "postgres-order").read_text().splitlines()
    assert (folder / "order" / "database-password").read_text().splitlines() == both
    assert (folder / "postgres" / "password").read_text() == vault.password("postgres-operator")
    [user] = json.loads((folder / "rabbitmq" / "definitions.json").read_text())["users"]
    assert user["password_hash"] == password_hash(vault.password("rabbitmq-operator"), "operator")


def _hosts(certificate: Path) -> set[str]:
    [leaf] = x509.load_pem_x509_certificates(certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_the_gateway_has_a_certificate_for_this_machine_and_its_own_name(tmp_path: Path) -> None:
    hand_out(tmp_path, _KONG)
    assert _hosts(tmp_path / "kong" / "kong.pem") == {"localhost", "127.0.0.1", "::1", "kong"}

    hand_out(tmp_path, _KONG, "shop.example")
    assert "shop.example" in _hosts(tmp_path / "kong" / "kong.pem")


def test_a_certificate_of_ones_own_is_handed_to_the_gateway(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")]), datetime.now(UTC)
    own = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = own.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "kong.pem").write_bytes(certificate)
    (tmp_path / "vault" / "kong-key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )

    hand_out(tmp_path, _KONG)

    assert (tmp_path / "kong" / "kong.pem").read_bytes() == certificate.rstrip()
    assert not (tmp_path / "vault" / "ca.pem").exists()


def test_a_fresh_broker_knows_the_operator_and_no_guest(folder: Path) -> None:
    definitions = json.loads((folder / "rabbitmq" / "definitions.json").read_text())
    password = (folder / "operator" / "rabbitmq-password").read_text()

    assert [(user["name"], user["tags"], user["password_hash"]) for user in definitions["users"]] == [
        ("operator", ["administrator"], password_hash(password, "operator"))
    ]
    assert definitions["vhosts"] == [{"name": "/"}]
    assert not definitions.keys() & {"queues", "exchanges", "bindings"}


def test_the_gateway_is_told_the_public_half_of_the_signing_key_only(folder: Path) -> None:
    text = (folder / "kong" / "kong.yml").read_text()
    [key] = json.loads((folder / "auth" / "signing-keys.json").read_text())["keys"]
    [secret] = yaml.safe_load(text)["consumers"][0]["jwt_secrets"]

    assert secret["key"] == key["kid"]
    assert secret["rsa_public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in text
    assert key["d"] not in text


def test_the_services_stay_behind_the_gateways_own_names(folder: Path) -> None:
    rendered = yaml.safe_load((folder / "kong" / "kong.yml").read_text())
    committed = yaml.safe_load(_KONG.read_text())

    assert [one["url"] for one in rendered["services"]] == [one["url"] for one in committed["services"]]


@pytest.mark.parametrize("endpoint", [None, "http://collector:4318/v1/traces"])
def test_the_gateway_traces_where_there_is_a_collector(tmp_path: Path, endpoint: str | None) -> None:
    hand_out(tmp_path, _KONG, traces_endpoint=endpoint)

    plugins = yaml.safe_load((tmp_path / "kong" / "kong.yml").read_text())["plugins"]
    [tracing] = [plugin for plugin in plugins if plugin["name"] == "opentelemetry"]
    assert tracing["enabled"] == (endpoint is not None)
    assert endpoint in (None, tracing["config"]["traces_endpoint"])


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ShopError, match=rf"^{tmp_path}/file.*: Not a directory$"):
        hand_out(tmp_path / "file" / "secrets", _KONG)


def test_a_gateways_file_that_cannot_be_rendered_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "signing-keys.json").write_text('{"keys": []}')

    with pytest.raises(ShopError, match=rf"^{_KONG} cannot be rendered: the JWK set holds no keys$"):
        hand_out(tmp_path, _KONG)
