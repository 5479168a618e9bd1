import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.fernet import Fernet
from joserfc import jwt
from joserfc.jwk import ECKey

from shop.secrets import SIGNING_KEYS, Secrets


def test_a_secret_stays_the_same_once_made(tmp_path: Path) -> None:
    first = Secrets(tmp_path / "secrets").read("postgres-order")

    assert Secrets(tmp_path / "secrets").read("postgres-order") == first


def test_all_who_ask_at_once_get_the_same_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = threads.map(lambda _: Secrets(tmp_path / "secrets").read("postgres-order"), range(64))

    assert len(set(answers)) == 1


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    file = Secrets(tmp_path / "secrets").path("admin-password")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_signing_key_signs_es256_and_has_a_kid(tmp_path: Path) -> None:
    [jwk] = json.loads(Secrets(tmp_path).read(SIGNING_KEYS))["keys"]
    key = ECKey.import_key(jwk)

    token = jwt.encode({"alg": "ES256", "kid": jwk["kid"]}, {"sub": "me"}, key, algorithms=["ES256"])

    assert jwt.decode(token, key, algorithms=["ES256"]).claims == {"sub": "me"}


def test_the_contact_key_seals(tmp_path: Path) -> None:
    key = Fernet(Secrets(tmp_path).read("contact-key"))

    assert key.decrypt(key.encrypt(b"me@example.com")) == b"me@example.com"


def test_the_providers_key_is_a_test_key(tmp_path: Path) -> None:
    assert Secrets(tmp_path).read("stripe-api-key").startswith("sk_test_")
