"""Files of signing keys: which are usable, and what of them is published."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from auth.keys import BadSigningKeys, SigningKeys
from chassis.testing import signing_key


def test_a_retired_key_needs_no_private_part(tmp_path: Path) -> None:
    keys = [signing_key().as_dict(private=True), signing_key().as_dict(private=False)]
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
    key = signing_key().as_dict(private=True) | {"retired_at": 1}
    [published] = json.loads(SigningKeys.read(_file(tmp_path, {"keys": [key]})).published)["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def _file(folder: Path, content: object) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(content))
    return file
