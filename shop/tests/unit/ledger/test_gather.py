"""The broker's figures are seconds old: the ledger does not report a message that was handled since."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import pytest

from shop.ledger import gather
from shop.targets import Target

TARGET = cast("Target", None)  # only `management` looks at it, and it is replaced


class Broker:
    """Answers each reading with the next of `counts` of the queue `order`, and then with the last."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = list(counts)

    def management(self, _: Target) -> AbstractAsyncContextManager["Broker"]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Broker]:
            yield self

        return opened()

    async def get(self, what: str) -> list[dict[str, object]]:
        assert what == "queues"
        count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return [{"name": "order", "messages": count}, {"name": "order.dead", "messages": 1}]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(gather, "STATISTICS_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("counts", "found"),
    [([1, 1, 0], 0), ([0], 0), ([2], 2)],
    ids=["handled before the broker counted again", "empty", "still there when the broker has counted again"],
)
async def test_a_queue_is_read_until_the_broker_has_counted_again(
    counts: list[int], found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "management", Broker(counts).management)
    depths = await gather._recounted_depths(TARGET)
    assert depths == {"order": found, "order.dead": 1}
