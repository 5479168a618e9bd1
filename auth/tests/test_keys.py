"""The signing keys: what is published, and what happens to an unusable file."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from auth.keys import BadSigningKeys, SigningKeys

from .conftest import Auth

PRIVATE = "d"


@pytest.fixture
def stored_keys(signing_keys_file: Path) -> Any:
    return json.loads(signing_keys_file.read_text())["keys"]


async def test_every_key_is_published_without_its_private_part(auth: Auth, stored_keys: Any) -> None:
    answer = await auth.http.get("/.well-known/jwks.json")

    assert answer.headers["cache-control"] == "public, max-age=300"
    published = answer.json()["keys"]
    assert [key["kid"] for key in published] == [key["kid"] for key in stored_keys]
    for key in published:
        assert PRIVATE not in key
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_a_retired_key_needs_no_private_part(tmp_path: Path) -> None:
    keys = [_key().as_dict(private=True), _key().as_dict(private=False)]
    published = json.loads(SigningKeys.read(_file(tmp_path, {"keys": keys})).published)
    assert len(published["keys"]) == 2


def test_a_key_without_kid_gets_its_thumbprint(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    file = _file(tmp_path, {"keys": [key.as_dict(private=True)]})
    [published] = json.loads(SigningKeys.read(file).published)["keys"]
    assert published["kid"] == key.thumbprint()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"keys": []}, "the first key"),
        ({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}, "the first key"),
        ({"keys": [ECKey.generate_key("P-384").as_dict(private=True)]}, "P-384"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "P-256"),
        ([], "P-256"),
    ],
)
def test_a_file_that_cannot_sign_says_why(tmp_path: Path, content: object, why: str) -> None:
    with pytest.raises(BadSigningKeys, match=why):
        SigningKeys.read(_file(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSigningKeys, match=r"nowhere\.json: No such file"):
        SigningKeys.read(tmp_path / "nowhere.json")


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000])
def test_a_file_that_is_not_json_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(content)
    with pytest.raises(BadSigningKeys):
        SigningKeys.read(file)


def test_a_key_that_is_not_for_signing_is_rejected(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "enc"}).as_dict(private=True)
    with pytest.raises(BadSigningKeys, match="does not sign"):
        SigningKeys.read(_file(tmp_path, {"keys": [key]}))


def test_two_keys_with_the_same_kid_are_rejected(tmp_path: Path) -> None:
    keys = [ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=True) for _ in range(2)]
    with pytest.raises(BadSigningKeys, match="same kid"):
        SigningKeys.read(_file(tmp_path, {"keys": keys}))


def test_extra_members_of_a_key_are_not_published(tmp_path: Path) -> None:
    key = _key().as_dict(private=True) | {"retired_at": 1}
    [published] = json.loads(SigningKeys.read(_file(tmp_path, {"keys": [key]})).published)["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_a_changed_file_takes_effect_at_once(
    auth: Auth, signing_keys_file: Path, stored_keys: Any
) -> None:
    before = (await auth.http.post("/v1/guests")).json()["access_token"]
    assert _kid(before) == stored_keys[0]["kid"]

    new = _key().as_dict(private=True)
    _file(signing_keys_file.parent, {"keys": [new, *stored_keys]})

    published = (await auth.http.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["kid"] for key in published] == [new["kid"], *(key["kid"] for key in stored_keys)]
    assert _kid((await auth.http.post("/v1/guests")).json()["access_token"]) == new["kid"]


async def test_an_unusable_file_keeps_the_previous_keys(
    auth: Auth, signing_keys_file: Path, stored_keys: Any
) -> None:
    for spoil in (lambda: signing_keys_file.write_text("{"), signing_keys_file.unlink):
        spoil()
        token = (await auth.http.post("/v1/guests")).json()["access_token"]
        assert _kid(token) == stored_keys[0]["kid"]


def _kid(token: str) -> str:
    header = token.partition(".")[0]
    return str(json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


def _key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


def _file(folder: Path, content: object) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(content))
    return file
