"""The issuer's keys: when they are fetched, and what happens while the issuer is down."""

import asyncio

import pytest

from chassis.errors import Unavailable
from chassis.http.problems import Unauthenticated
from chassis.testing import signing_key

from .conftest import ADA, NOW, Issuer


async def test_many_callers_at_the_start_fetch_the_keys_once(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    await asyncio.gather(*(verifier.verify(issuer.token(jti=str(n))) for n in range(20)))
    assert issuer.fetches == 1


async def test_a_cancelled_request_does_not_cancel_the_fetch(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    leaving = asyncio.create_task(verifier.verify(issuer.token(jti="1")))
    staying = asyncio.create_task(verifier.verify(issuer.token(jti="2")))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).id == ADA
    assert issuer.fetches == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    issuer.keys.insert(0, signing_key("two"))
    issuer.now += 10
    assert await verifier.verify(issuer.token())
    assert issuer.fetches == 2


async def test_unknown_keys_cause_a_limited_number_of_fetches(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    for step in range(20):
        issuer.now = NOW + step
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.token(header={"kid": f"made up {step}"}))
    assert issuer.fetches == 2


async def test_a_key_of_an_unknown_kind_is_ignored(issuer: Issuer) -> None:
    issuer.more = [{"kty": "lattice", "kid": "two"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "three"}, 7]
    assert await issuer.verifier().verify(issuer.token())


async def test_an_empty_key_set_withdraws_no_key(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    await verifier.verify(issuer.token())
    good, issuer.keys = issuer.keys[0], []
    issuer.now += 301
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token(header={"kid": "nobody"}, key=good))
    assert await verifier.verify(issuer.token(key=good, jti="another"))


async def test_while_the_issuer_is_away_a_token_with_a_new_key_gets_503(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10, retry_every=1)
    await verifier.verify(issuer.token())
    issuer.keys.insert(0, signing_key("two"))
    issuer.now += 10
    issuer.is_down = True
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())
    assert await verifier.verify(issuer.token(key=issuer.keys[1]))
    issuer.is_down = False
    issuer.now += 1
    assert await verifier.verify(issuer.token())


async def test_without_any_keys_a_token_gets_503(issuer: Issuer) -> None:
    issuer.is_down = True
    with pytest.raises(Unavailable) as refusal:
        await issuer.verifier().verify(issuer.token())
    assert refusal.value.retry_after == 1


async def test_a_failed_fetch_is_repeated_soon(issuer: Issuer) -> None:
    verifier = issuer.verifier(retry_every=1)
    issuer.is_down = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
    assert issuer.fetches == 1
    issuer.is_down = False
    issuer.now += 1
    assert await verifier.verify(issuer.token())


async def test_cached_keys_are_used_for_a_limited_time_without_the_issuer(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300, stale_for=3600)
    await verifier.verify(issuer.token())
    issuer.is_down = True
    issuer.now = NOW + 3600
    assert await verifier.verify(issuer.token())
    issuer.now = NOW + 3700
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())


async def test_old_keys_are_refreshed_in_the_background(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    await verifier.verify(issuer.token())
    issuer.was_fetched.clear()
    issuer.now += 301
    await verifier.verify(issuer.token())
    assert not issuer.was_fetched.is_set()
    async with asyncio.timeout(5):
        await issuer.was_fetched.wait()


async def test_a_withdrawn_key_is_rejected_even_for_cached_tokens(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    token = issuer.token()
    await verifier.verify(token)
    issuer.keys = [signing_key("two")]
    issuer.now += 10
    assert await verifier.verify(token)
    await verifier.verify(issuer.token())
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_withdrawn_key_is_noticed_without_a_token_of_another_key(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    token = issuer.token(exp=NOW + 86_400)
    await verifier.verify(token)
    issuer.keys = [signing_key("two")]
    issuer.was_fetched.clear()
    issuer.now += 301
    assert await verifier.verify(token)
    async with asyncio.timeout(5):
        await issuer.was_fetched.wait()
        with pytest.raises(Unauthenticated):
            while await verifier.verify(token):
                await asyncio.sleep(0)


async def test_a_cached_token_is_rejected_after_the_issuer_is_away_for_too_long(
    issuer: Issuer,
) -> None:
    verifier = issuer.verifier(stale_for=3600)
    token = issuer.token(exp=NOW + 86_400)
    await verifier.verify(token)
    issuer.is_down = True
    issuer.now += 3700
    with pytest.raises(Unavailable):
        await verifier.verify(token)


async def test_a_token_is_verified_once_until_it_expires(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    token = issuer.token()
    assert await verifier.verify(token) is await verifier.verify(token)
    issuer.now += 71
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_the_token_cache_has_a_maximum_size(issuer: Issuer) -> None:
    verifier = issuer.verifier(remember=2)
    tokens = [issuer.token(jti=str(n)) for n in range(3)]
    first, second, _ = [await verifier.verify(token) for token in tokens]
    assert await verifier.verify(tokens[1]) is second
    assert await verifier.verify(tokens[0]) is not first
