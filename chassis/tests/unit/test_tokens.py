"""Which tokens are accepted."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from chassis.http.claims import RejectedTokenLog
from chassis.http.identity import Principal
from chassis.http.problems import Unauthenticated
from chassis.testing import Fault, signed, signing_key

from .conftest import ADA, NOW, Issuer

HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
GOOD = f'{{"iss": "https://issuer", "aud": "rooms", "sub": "{ADA}", "role": "a", "exp": {NOW + 60:.0f}}}'


async def test_a_good_token_names_the_caller(issuer: Issuer) -> None:
    token = issuer.token(role="admin", email="ada@example.org")
    assert await issuer.verifier().verify(token) == Principal(ADA, "admin", "ada@example.org", token)


async def test_a_token_carries_scopes(issuer: Issuer) -> None:
    caller = await issuer.verifier().verify(issuer.token(scope="rooms:write rooms:read"))
    assert caller.scopes == {"rooms:write", "rooms:read"}


async def test_a_principals_repr_has_no_token(issuer: Issuer) -> None:
    token = issuer.token()
    assert token not in repr(await issuer.verifier().verify(token))


async def test_one_of_several_audiences_is_enough(issuer: Issuer) -> None:
    assert await issuer.verifier().verify(issuer.token(aud=["elsewhere", "rooms"]))


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://somebody"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "kitchens"},
    "a longer audience": {"aud": "rooms-and-more"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "an expiry in words": {"exp": "tomorrow"},
    "expired": {"exp": NOW - 11},
    "not valid yet": {"nbf": NOW + 11},
    "no subject": {"sub": None},
    "a subject that is no UUID": {"sub": "ada"},
    "a subject that is a number": {"sub": 7},
    "no role": {"role": None},
    "an empty role": {"role": ""},
    "a list of roles": {"role": ["admin"]},
    "a list of scopes": {"scope": ["rooms:write"]},
    "an address that is none": {"email": 7},
    "an expiry as text": {"exp": str(int(NOW + 60))},
    "an expiry that is true": {"exp": True},
    "an endless expiry": {"exp": 10**400},
    "an expiry before time": {"exp": -1},
    "an issue in words": {"iat": "yesterday"},
    "a subject in another spelling": {"sub": f"{{{ADA}}}"},
}


@pytest.mark.parametrize("fault", Fault)
async def test_a_token_with_any_one_fault_is_rejected(issuer: Issuer, fault: Fault) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(fault=fault))


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_a_token_with_wrong_claims_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await issuer.verifier().verify(issuer.token(**claims))
    assert refusal.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    "payload",
    [
        '{"role": "guest", "role": "admin", %s}',
        '{"role": "admin", "nbf": NaN, %s}',
        '{"role": "admin", "iat": Infinity, %s}',
        '{"role": "admin", "more": ' + "[" * 1500 + "]" * 1500 + ", %s}",
        '["role", %s]',
        "",
    ],
)
async def test_ambiguous_claims_are_rejected(issuer: Issuer, payload: str) -> None:
    rest = f'"iss": "https://issuer", "aud": "rooms", "sub": "{ADA}", "exp": {NOW + 60:.0f}'
    token = signed(HEADER, payload.replace("%s", rest), issuer.keys[0])
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)


async def test_the_same_claims_unambiguously_are_accepted(issuer: Issuer) -> None:
    assert await issuer.verifier().verify(signed(HEADER, GOOD, issuer.keys[0]))


@pytest.mark.parametrize("critical", [["kid"], ["b64"], ["exp"], []])
async def test_a_token_with_a_crit_header_is_rejected(issuer: Issuer, critical: list[str]) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(header={"crit": critical}))


async def test_the_same_header_without_crit_is_accepted(issuer: Issuer) -> None:
    assert await issuer.verifier().verify(issuer.token(header={"crit": None}))


async def test_a_header_that_names_two_keys_is_refused(issuer: Issuer) -> None:
    header = '{"alg":"ES256","typ":"at+jwt","kid":"nobody","kid":"one"}'
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(signed(header, GOOD, issuer.keys[0]))


async def test_a_huge_token_is_rejected_before_it_is_parsed(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(more="x" * 4096))
    assert issuer.fetches == 0


@pytest.mark.parametrize("claims", [{"exp": NOW - 9}, {"nbf": NOW + 9}])
async def test_clocks_may_differ_a_little(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert await issuer.verifier().verify(issuer.token(**claims))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "rt+jwt"}, {"kid": "nobody"}])
async def test_a_token_of_another_kind_or_key_is_refused(issuer: Issuer, header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(header=header))


async def test_a_token_signed_with_another_key_under_a_known_kid_is_rejected(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(key=signing_key("one")))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
async def test_a_token_that_chooses_another_algorithm_is_refused(issuer: Issuer, algorithm: str) -> None:
    signs = "none" if algorithm == "none" else "HS256"  # of which the public key becomes the secret
    token = issuer.token(algorithm=signs, header={"alg": algorithm}, role="admin")
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)


async def test_a_published_key_of_another_algorithm_is_rejected(issuer: Issuer) -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    issuer.keys = [rsa]
    token = issuer.token(algorithm="RS256")
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)
    assert await issuer.verifier(algorithms=["RS256"]).verify(token)


@pytest.mark.parametrize("meant", [{"alg": "ES512"}, {"use": "enc"}])
async def test_a_key_published_for_another_use_is_rejected(issuer: Issuer, meant: dict[str, str]) -> None:
    signer = ECKey.generate_key("P-256", {"kid": "one"})
    token = issuer.token(key=signer)
    issuer.keys = [ECKey.import_key(signer.as_dict(private=False, **meant))]
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)
    issuer.keys = [signer]
    assert await issuer.verifier().verify(token)


async def test_a_key_inside_the_token_is_ignored(issuer: Issuer) -> None:
    mine = signing_key("mine")
    token = issuer.token(header={"jwk": mine.as_dict(private=False)}, key=mine)
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(token)


@given(st.one_of(st.text(), st.lists(st.text("ABCeyJhbGciOi_-", max_size=60), max_size=5).map(".".join)))
@settings(max_examples=200, deadline=None)
def test_any_malformed_token_is_rejected(text: str) -> None:
    async def verify() -> None:
        with pytest.raises(Unauthenticated):
            await Issuer().verifier().verify(text)

    asyncio.run(verify())


async def test_a_changed_payload_is_refused(issuer: Issuer) -> None:
    guest, admin = issuer.token(role="guest").split("."), issuer.token(role="admin").split(".")
    with pytest.raises(Unauthenticated):
        await issuer.verifier().verify(".".join((guest[0], admin[1], guest[2])))


async def test_a_rejection_is_logged_with_its_reason_and_without_the_token(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    refused = {
        "time": issuer.token(exp=NOW - 60),
        "audience": issuer.token(aud="kitchens"),
        "issuer": issuer.token(iss="https://somebody"),
        "claims": issuer.token(role=None),
        "type": issuer.token(header={"typ": "JWT"}),
        "key": issuer.token(header={"kid": "k" * 100}),
        "signature": issuer.token()[:-8] + "AAAAAAAA",
        "algorithm": issuer.token(algorithm="none"),
        "malformed": "rubbish",
    }
    with capture_logs() as logs:
        for token in refused.values():
            with pytest.raises(Unauthenticated):
                await verifier.verify(token)
    lines = [line for line in logs if line["event"] == "token refused"]
    assert [line["reason"] for line in lines] == list(refused)
    assert all(len(line["kid"]) <= 64 for line in lines)
    assert not [token for token in refused.values() if token in str(logs)]


async def test_a_kid_that_is_no_text_is_rejected_and_logged(issuer: Issuer) -> None:
    with capture_logs() as logs, pytest.raises(Unauthenticated):
        await issuer.verifier().verify(issuer.token(header={"kid": "\ud800\n"}))
    assert logs[-1]["kid"] == "\\ud800\n"


def test_rejections_are_logged_at_a_limited_rate() -> None:
    now = 0.0
    rejected = RejectedTokenLog(most=3, seconds=60, clock=lambda: now)
    with capture_logs() as logs:
        for _ in range(10):
            rejected.record("key", "nobody")
        now = 60.0
        rejected.record("key", "nobody")
        rejected.record("key", "nobody")
    assert len(logs) == 5
    assert [line.get("held_back") for line in logs] == [None, None, None, 7, None]
