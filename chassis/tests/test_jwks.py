"""The issuer's keys: fetched when they are needed, and what happens while the issuer is away."""

import asyncio

import pytest

from chassis.errors import Unavailable
from chassis.http.problems import Unauthenticated

from .issuer import ADA, NOW, Issuer, new_key


async def test_many_callers_at_the_start_fetch_the_keys_once(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    await asyncio.gather(*(verifier.verify(issuer.token(jti=str(n))) for n in range(20)))
    assert issuer.asked == 1


async def test_a_caller_who_leaves_does_not_take_the_fetch_along(issuer: Issuer) -> None:
    verifier = issuer.verifier()
    leaving = asyncio.create_task(verifier.verify(issuer.token(jti="1")))
    staying = asyncio.create_task(verifier.verify(issuer.token(jti="2")))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).id == ADA
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    issuer.keys.insert(0, new_key("two"))
    issuer.now += 10
    assert await verifier.verify(issuer.token())
    assert issuer.asked == 2


async def test_unknown_keys_do_not_make_us_ask_all_the_time(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    await verifier.verify(issuer.token())
    for step in range(20):
        issuer.now = NOW + step
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.token({"kid": f"made up {step}"}))
    assert issuer.asked == 2


async def test_a_key_of_an_unknown_kind_does_not_spoil_the_others(issuer: Issuer) -> None:
    issuer.more = [{"kty": "lattice", "kid": "two"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "three"}, 7]
    assert await issuer.verifier().verify(issuer.token())


async def test_an_issuer_that_publishes_nothing_takes_no_key_away(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    await verifier.verify(issuer.token())
    good, issuer.keys = issuer.keys[0], []
    issuer.now += 301
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token({"kid": "nobody"}, key=good))
    assert await verifier.verify(issuer.token(key=good, jti="another"))


async def test_while_the_issuer_is_away_a_new_key_is_neither_good_nor_bad(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10, retry_every=1)
    await verifier.verify(issuer.token())
    issuer.keys.insert(0, new_key("two"))
    issuer.now += 10
    issuer.away = True
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())
    assert await verifier.verify(issuer.token(key=issuer.keys[1]))
    issuer.away = False
    issuer.now += 1
    assert await verifier.verify(issuer.token())


async def test_without_any_keys_a_token_is_neither_good_nor_bad(issuer: Issuer) -> None:
    issuer.away = True
    with pytest.raises(Unavailable) as refusal:
        await issuer.verifier().verify(issuer.token())
    assert refusal.value.retry_after == 1


async def test_keys_are_asked_for_again_soon_after_a_failure(issuer: Issuer) -> None:
    verifier = issuer.verifier(retry_every=1)
    issuer.away = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
    assert issuer.asked == 1
    issuer.away = False
    issuer.now += 1
    assert await verifier.verify(issuer.token())


async def test_keys_at_hand_outlive_the_issuer_for_a_while_only(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300, stale_for=3600)
    await verifier.verify(issuer.token())
    issuer.away = True
    issuer.now = NOW + 3600
    assert await verifier.verify(issuer.token())
    issuer.now = NOW + 3700
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())


async def test_old_keys_are_renewed_without_anybody_waiting(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    await verifier.verify(issuer.token())
    issuer.was_asked.clear()
    issuer.now += 301
    await verifier.verify(issuer.token())
    assert not issuer.was_asked.is_set()
    async with asyncio.timeout(5):
        await issuer.was_asked.wait()


async def test_a_withdrawn_key_is_not_believed_even_for_tokens_seen_before(issuer: Issuer) -> None:
    verifier = issuer.verifier(refetch_every=10)
    token = issuer.token()
    await verifier.verify(token)
    issuer.keys = [new_key("two")]
    issuer.now += 10
    assert await verifier.verify(token)
    await verifier.verify(issuer.token())
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_withdrawn_key_is_not_believed_for_long_though_nobody_shows_another(issuer: Issuer) -> None:
    verifier = issuer.verifier(max_age=300)
    token = issuer.token(exp=NOW + 86_400)
    await verifier.verify(token)
    issuer.keys = [new_key("two")]
    issuer.was_asked.clear()
    issuer.now += 301
    assert await verifier.verify(token)
    async with asyncio.timeout(5):
        await issuer.was_asked.wait()
        with pytest.raises(Unauthenticated):
            while await verifier.verify(token):
                await asyncio.sleep(0)


async def test_a_token_seen_before_is_not_believed_once_the_issuer_is_away_for_too_long(
    issuer: Issuer,
) -> None:
    verifier = issuer.verifier(stale_for=3600)
    token = issuer.token(exp=NOW + 86_400)
    await verifier.verify(token)
    issuer.away = True
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


async def test_no_more_tokens_are_remembered_than_was_said(issuer: Issuer) -> None:
    verifier = issuer.verifier(remember=2)
    tokens = [issuer.token(jti=str(n)) for n in range(3)]
    first, second, _ = [await verifier.verify(token) for token in tokens]
    assert await verifier.verify(tokens[1]) is second
    assert await verifier.verify(tokens[0]) is not first
