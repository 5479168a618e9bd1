"""When a circuit opens, probes and closes, also with concurrent calls."""

import asyncio
from collections.abc import Awaitable

import pytest

from chassis.outbound import Circuit, CircuitOpen


class Down(Exception):
    pass


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Call:
    """A call that is in flight until the test ends it."""

    def __init__(self, circuit: Circuit) -> None:
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.started = False
        self.task = asyncio.create_task(circuit.call(self._work))

    async def _work(self) -> str:
        self.started = True
        return await self._end

    def succeed(self) -> Awaitable[str]:
        self._end.set_result("fine")
        return self.task

    async def fail(self) -> None:
        self._end.set_exception(Down())
        with pytest.raises(Down):
            await self.task


async def begin(circuit: Circuit, count: int = 1) -> list[Call]:
    calls = [Call(circuit) for _ in range(count)]
    await asyncio.sleep(0)
    return calls


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit("archive", failures=3, reset=5, counts=(Down,), clock=clock)


async def succeed(circuit: Circuit) -> None:
    [call] = await begin(circuit)
    assert await call.succeed() == "fine"


async def fail(circuit: Circuit, times: int = 1) -> None:
    for _ in range(times):
        [call] = await begin(circuit)
        await call.fail()


async def refused(circuit: Circuit) -> float:
    [call] = await begin(circuit)
    assert not call.started
    with pytest.raises(CircuitOpen) as refusal:
        await call.task
    return refusal.value.retry_after


async def test_it_opens_after_so_many_failures_in_a_row(circuit: Circuit) -> None:
    await fail(circuit, 2)
    await succeed(circuit)
    await fail(circuit, 2)
    assert circuit.state == "closed"
    await fail(circuit)
    assert circuit.state == "open"


async def test_the_call_that_opens_it_keeps_its_own_error(circuit: Circuit) -> None:
    await fail(circuit, 3)


async def test_an_error_that_is_not_listed_does_not_count(circuit: Circuit) -> None:
    async def mistaken() -> None:
        raise KeyError

    for _ in range(5):
        with pytest.raises(KeyError):
            await circuit.call(mistaken)
    assert circuit.state == "closed"


async def test_while_open_no_call_is_made(circuit: Circuit, clock: Clock) -> None:
    await fail(circuit, 3)
    clock.now = 3
    assert await refused(circuit) == 2


async def test_when_half_open_one_of_many_calls_goes_through(circuit: Circuit, clock: Clock) -> None:
    await fail(circuit, 3)
    clock.now = 5
    calls = await begin(circuit, 20)
    assert [call.started for call in calls] == [True] + 19 * [False]
    for call in calls[1:]:
        with pytest.raises(CircuitOpen):
            await call.task
    await calls[0].succeed()
    assert circuit.state == "closed"
    await succeed(circuit)


async def test_a_failed_probe_opens_it_for_the_whole_time_again(circuit: Circuit, clock: Clock) -> None:
    await fail(circuit, 3)
    clock.now = 5
    await fail(circuit)
    assert circuit.state == "open"
    assert await refused(circuit) == 5


async def test_a_cancelled_call_is_no_failure(circuit: Circuit) -> None:
    for call in await begin(circuit, 5):
        call.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.task
    assert circuit.state == "closed"


async def test_a_cancelled_call_is_no_success_either(circuit: Circuit) -> None:
    await fail(circuit, 2)
    [call] = await begin(circuit)
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    await fail(circuit)
    assert circuit.state == "open"


async def test_after_a_cancelled_probe_the_next_call_probes(circuit: Circuit, clock: Clock) -> None:
    await fail(circuit, 3)
    clock.now = 5
    [probe] = await begin(circuit)
    probe.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe.task
    assert circuit.state == "half-open"
    await succeed(circuit)
    assert circuit.state == "closed"


async def test_calls_in_flight_when_it_opens_keep_their_own_outcome(circuit: Circuit) -> None:
    good, bad = await begin(circuit, 2)
    await fail(circuit, 3)
    assert await good.succeed() == "fine"
    await bad.fail()
    assert circuit.state == "open"


async def test_a_late_failure_does_not_prolong_the_wait(circuit: Circuit, clock: Clock) -> None:
    [late] = await begin(circuit)
    await fail(circuit, 3)
    clock.now = 4
    await late.fail()
    assert await refused(circuit) == 1


async def test_a_late_outcome_does_not_decide_for_the_probe(circuit: Circuit, clock: Clock) -> None:
    good, bad = await begin(circuit, 2)
    await fail(circuit, 3)
    clock.now = 5
    [probe] = await begin(circuit)
    await good.succeed()
    await bad.fail()
    assert circuit.state == "half-open"
    await probe.succeed()
    assert circuit.state == "closed"
