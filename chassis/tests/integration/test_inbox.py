from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.storage import inbox

from .conftest import World


async def test_a_message_is_claimed_once(world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        assert await inbox.claim(session, "seller", ["a", "b"]) == {"a", "b"}
    async with AsyncSession(world.engine) as session, session.begin():
        assert await inbox.claim(session, "seller", ["b", "c"]) == {"c"}
        assert await inbox.claim(session, "another", ["b"]) == {"b"}


async def test_old_inbox_rows_are_deleted(world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        await inbox.claim(session, "seller", ["old", "new"])
        await session.execute(
            text("UPDATE inbox SET seen_at = now() - interval '15 days' WHERE message_id = 'old'")
        )
    assert await inbox.prune(world.engine, timedelta(days=14)) == 1
    async with AsyncSession(world.engine) as session, session.begin():
        assert await inbox.claim(session, "seller", ["old", "new"]) == {"old"}
