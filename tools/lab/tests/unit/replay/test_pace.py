"""While the gateway's limits slow a replay down, it says how long it will take."""

import asyncio

from lab.replay.pace import Pace


def test_a_notice_has_what_is_done_and_how_long_the_rest_will_take() -> None:
    pace = Pace(total=1807, limited=int, done=100)

    assert pace.notice(27).startswith(
        "the gateway's rate limits slow this down (100 of 1807, about 8 min left): `shop up --set"
    )


def test_before_anything_is_done_nobody_knows_how_long_it_will_take() -> None:
    assert "(0 of 2, no invoice has ended yet)" in Pace(total=2, limited=int).notice(27)


async def test_notices_come_while_limits_are_met() -> None:
    limited, notices = 0, list[str]()
    pace = Pace(total=2, limited=lambda: limited)
    async with pace.watched(notices.append, seconds=0.01):
        await asyncio.sleep(0.05)
        assert notices == []
        limited = 1
        await asyncio.sleep(0.05)
        assert len(notices) == 1
    limited = 2
    await asyncio.sleep(0.03)
    assert len(notices) == 1
