"""The alarm is raised in the log and at the health check, and ends when the cause does."""

import httpx
import pytest
from structlog.testing import capture_logs

from shop.broker.checking import BrokerIssue, Figures
from shop.broker.monitor import Monitor, app
from shop.errors import ShopError

LOST = BrokerIssue("broker-differs", "binding events → cart for order.paid is missing", "shop broker restore")


class Broker:
    """What the next look finds."""

    def __init__(self) -> None:
        self.issues: list[BrokerIssue] = []
        self.dead = 0
        self.away = False

    async def check(self) -> tuple[list[BrokerIssue], Figures]:
        if self.away:
            raise ShopError("RabbitMQ does not answer")
        return self.issues, Figures(queues=[{"name": "cart.dead", "messages": self.dead}])


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def monitor(broker: Broker) -> Monitor:
    return Monitor(broker.check, interval=60, recheck=5)


async def ready(monitor: Monitor) -> httpx.Response:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app(monitor)), base_url="http://monitor"
    ) as http:
        return await http.get("/readyz")


async def test_nobody_is_called_ready_before_the_first_look(monitor: Monitor) -> None:
    assert (await ready(monitor)).status_code == 503
    await monitor.check()
    assert (await ready(monitor)).status_code == 200


async def test_a_lost_binding_is_logged_and_told_until_it_is_back(monitor: Monitor, broker: Broker) -> None:
    broker.issues = [LOST]
    with capture_logs() as logs:
        await monitor.check()
    assert [(line["log_level"], line["kind"], line["means"]) for line in logs] == [
        ("error", "broker-differs", LOST.means)
    ]
    answer = await ready(monitor)
    assert (answer.status_code, answer.json()["issues"][0]["means"]) == (503, LOST.means)

    broker.issues = []
    with capture_logs() as logs:
        await monitor.check()
        await monitor.check()
    assert [(line["log_level"], line["event"]) for line in logs] == [("info", "broker well again")]
    assert (await ready(monitor)).status_code == 200


async def test_a_broker_that_does_not_answer_is_an_issue(monitor: Monitor, broker: Broker) -> None:
    broker.away = True
    await monitor.check()
    assert [issue.kind for issue in monitor.issues] == ["broker-unreachable"]


async def test_a_monitor_that_stopped_looking_is_not_well(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await monitor.check()
    assert monitor.is_well
    monkeypatch.setattr("shop.broker.monitor.time.monotonic", lambda: float("inf"))
    assert not monitor.is_well


async def test_dead_letters_that_grow_are_logged_and_change_no_health(
    monitor: Monitor, broker: Broker
) -> None:
    broker.dead = 3
    with capture_logs() as logs:
        await monitor.check()
        assert logs == [], "what lay there before is no growth"
        broker.dead = 5
        await monitor.check()
        await monitor.check()
    assert [(line["event"], line["queue"], line["before"], line["count"]) for line in logs] == [
        ("dead letters grew", "cart.dead", 3, 5)
    ]
    assert (await ready(monitor)).status_code == 200
