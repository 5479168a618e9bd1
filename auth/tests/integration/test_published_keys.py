"""The published keys follow their file while the service runs."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from chassis.testing import signing_key

from ..conftest import Auth

PRIVATE = "d"
StoredKeys = list[dict[str, Any]]


@pytest.fixture
def stored_keys(signing_keys_file: Path) -> StoredKeys:
    keys: StoredKeys = json.loads(signing_keys_file.read_text())["keys"]
    return keys


async def test_every_key_is_published_without_its_private_part(auth: Auth, stored_keys: StoredKeys) -> None:
    answer = await auth.http.get("/.well-known/jwks.json")

    assert answer.headers["cache-control"] == "public, max-age=300"
    published = answer.json()["keys"]
    assert [key["kid"] for key in published] == [key["kid"] for key in stored_keys]
    for key in published:
        assert PRIVATE not in key
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


async def test_a_changed_file_takes_effect_at_once(
    auth: Auth, signing_keys_file: Path, stored_keys: StoredKeys
) -> None:
    before = (await auth.http.post("/v1/guests")).json()["access_token"]
    assert _kid(before) == stored_keys[0]["kid"]

    new = signing_key().as_dict(private=True)
    _write(signing_keys_file, [new, *stored_keys])

    published = (await auth.http.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["kid"] for key in published] == [new["kid"], *(key["kid"] for key in stored_keys)]
    assert _kid((await auth.http.post("/v1/guests")).json()["access_token"]) == new["kid"]


async def test_an_unusable_file_keeps_the_previous_keys(
    auth: Auth, signing_keys_file: Path, stored_keys: StoredKeys
) -> None:
    for spoil in (lambda: signing_keys_file.write_text("{"), signing_keys_file.unlink):
        spoil()
        token = (await auth.http.post("/v1/guests")).json()["access_token"]
        assert _kid(token) == stored_keys[0]["kid"]


def _kid(token: str) -> str:
    header = token.partition(".")[0]
    return str(json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


def _write(file: Path, keys: StoredKeys) -> None:
    file.write_text(json.dumps({"keys": keys}))
