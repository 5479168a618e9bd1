"""The signing keys: what is published, and what a bad file leads to."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from auth.keys import BadSigningKeys, SigningKeys

from .conftest import Auth

PRIVATE = "d"


@pytest.fixture
def kept_keys(signing_keys_file: Path) -> Any:
    return json.loads(signing_keys_file.read_text())["keys"]


async def test_every_key_is_published_without_its_private_part(auth: Auth, kept_keys: Any) -> None:
    answer = await auth.http.get("/.well-known/jwks.json")

    assert answer.headers["cache-control"] == "public, max-age=300"
    published = answer.json()["keys"]
    assert [key["kid"] for key in published] == [key["kid"] for key in kept_keys]
    for key in published:
        assert PRIVATE not in key
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_a_retired_key_needs_no_private_part(tmp_path: Path) -> None:
    keys = [_key().as_dict(private=True), _key().as_dict(private=False)]
    published = json.loads(SigningKeys.read(_file(tmp_path, {"keys": keys})).published)
    assert len(published["keys"]) == 2


def test_a_key_without_a_name_is_named_by_its_thumbprint(tmp_path: Path) -> None:
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


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadSigningKeys, match=r"nowhere\.json: No such file"):
        SigningKeys.read(tmp_path / "nowhere.json")


def _key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


def _file(folder: Path, content: object) -> Path:
    file = folder / "keys.json"
    file.write_text(json.dumps(content))
    return file
