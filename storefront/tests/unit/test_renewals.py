import asyncio

import pytest

from storefront import renewals
from storefront.renewals import Renewals
from storefront.session import Tokens


class Auth:
    """Renews when it is let, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_answer = asyncio.Event()
        self.fails = False

    async def renew(self, refresh_token: str) -> Tokens:
        self.calls += 1
        await self.may_answer.wait()
        if self.fails:
            raise ConnectionError
        return Tokens(f"access {self.calls}", 0, f"after {refresh_token}")


async def test_requests_that_come_together_renew_once() -> None:
    auth, all_renewals = Auth(), Renewals()
    waiting = [asyncio.create_task(all_renewals.once("r", auth.renew)) for _ in range(5)]
    await asyncio.sleep(0)
    auth.may_answer.set()
    assert {tokens.refresh_token for tokens in await asyncio.gather(*waiting)} == {"after r"}
    assert auth.calls == 1


async def test_a_request_that_comes_later_with_the_old_token_gets_the_same() -> None:
    auth, all_renewals = Auth(), Renewals()
    auth.may_answer.set()
    first = await all_renewals.once("r", auth.renew)
    assert await all_renewals.once("r", auth.renew) == first
    assert (await all_renewals.once("other", auth.renew)).refresh_token == "after other"
    assert auth.calls == 2


async def test_what_has_failed_is_tried_again() -> None:
    auth, all_renewals = Auth(), Renewals()
    auth.may_answer.set()
    auth.fails = True
    with pytest.raises(ConnectionError):
        await all_renewals.once("r", auth.renew)
    auth.fails = False
    assert (await all_renewals.once("r", auth.renew)).refresh_token == "after r"


async def test_a_request_that_is_cancelled_ends_no_other() -> None:
    auth, all_renewals = Auth(), Renewals()
    gone, waiting = (asyncio.create_task(all_renewals.once("r", auth.renew)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    auth.may_answer.set()
    assert (await waiting).refresh_token == "after r"
    assert auth.calls == 1


async def test_a_bounded_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "MOST", 2)
    auth, all_renewals = Auth(), Renewals()
    auth.may_answer.set()
    for token in ("a", "b", "c", "c"):
        await all_renewals.once(token, auth.renew)
    assert auth.calls == 3
    await all_renewals.once("a", auth.renew)  # made room for c
    assert auth.calls == 4
