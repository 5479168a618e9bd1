"""What a caller gets from a neighbour that is well, slow, broken or gone. Against a real server."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.errors import TokenRejected, Unavailable
from chassis.outbound.service_client import RequestRejected, ServerFailed, ServiceClient
from chassis.telemetry.logs import trace_context


class Archive:
    """Answers as the script says, one entry a request: a status, `drop` the connection, or `hang`."""

    def __init__(self) -> None:
        self.script: deque[int | str] = deque()
        self.otherwise: int | str = 200
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Archive"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(await reader.readuntil(b"\r\n\r\n"), writer):
                pass
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        request, *headers = head.decode().strip().split("\r\n")
        self.requests.append((request, dict(line.lower().split(": ", 1) for line in headers)))
        self.asked.set()
        answer = self.script.popleft() if self.script else self.otherwise
        if answer == "drop":
            writer.close()
        if isinstance(answer, str):
            return False
        writer.write(b'HTTP/1.1 %d OK\r\nset-cookie: sid=1\r\ncontent-length: 9\r\n\r\n{"id": 7}' % answer)
        await writer.drain()
        return True


@pytest.fixture
async def archive() -> AsyncIterator[Archive]:
    async with Archive().serving() as archive:
        yield archive


@asynccontextmanager
async def reading(url: str, **settings: Any) -> AsyncIterator[ServiceClient]:
    neighbour = ServiceClient("archive", url, **settings)
    try:
        yield neighbour
    finally:
        await neighbour.aclose()


async def test_an_answer_is_handed_on(archive: Archive) -> None:
    async with reading(archive.url) as neighbour:
        answer = await neighbour.get_json("/v1/boxes", params={"q": "a b&c", "id": ["1", "2"]}, token="t0ken")
    assert (answer.status_code, answer.content, answer.json()) == (200, b'{"id": 7}', {"id": 7})
    [(request, headers)] = archive.requests
    assert request == "GET /v1/boxes?q=a+b%26c&id=1&id=2 HTTP/1.1"
    assert headers["authorization"] == "bearer t0ken"
    assert headers["accept"] == "application/json"


async def test_the_trace_goes_along(archive: Archive) -> None:
    async with reading(archive.url) as neighbour:
        with trace_context(None) as traceparent:
            await neighbour.get_json("/")
    [(_, headers)] = archive.requests
    assert headers["traceparent"] == traceparent
    assert "authorization" not in headers


async def test_calls_share_connections(archive: Archive) -> None:
    async with reading(archive.url) as neighbour:
        for _ in range(5):
            await neighbour.get_json("/")
    assert archive.connections == 1


async def test_no_more_connections_are_opened_than_was_said(archive: Archive) -> None:
    async with reading(archive.url, connections=2) as neighbour:
        await asyncio.gather(*(neighbour.get_json("/") for _ in range(20)))
    assert archive.connections == 2


@pytest.mark.parametrize("failure", [429, 502, 503, 504, "drop"])
async def test_what_passes_is_tried_again(archive: Archive, failure: int | str) -> None:
    archive.script.extend([failure, failure])
    async with reading(archive.url, attempts=3) as neighbour:
        assert (await neighbour.get_json("/")).status_code == 200


async def test_a_slow_attempt_is_given_up_and_tried_again(archive: Archive) -> None:
    archive.script.append("hang")
    async with reading(archive.url, timeout=1) as neighbour:
        assert (await neighbour.get_json("/")).status_code == 200


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 414, 422, 431])
async def test_a_refusal_is_our_mistake_and_never_taken_for_absence(archive: Archive, status: int) -> None:
    archive.otherwise = status
    async with reading(archive.url, breaker_failures=1) as neighbour:
        for _ in range(3):
            with pytest.raises(RequestRejected, match=f'archive answered {status}: {{"id": 7}}'):
                await neighbour.get_json("/")
    assert len(archive.requests) == 3


async def test_a_token_that_is_not_accepted_is_the_callers_to_renew(archive: Archive) -> None:
    archive.otherwise = 401
    async with reading(archive.url) as neighbour:
        with pytest.raises(TokenRejected):
            await neighbour.get_json("/", token="t0ken")


async def test_attempts_are_bounded(archive: Archive) -> None:
    archive.otherwise = 503
    async with reading(archive.url, attempts=2) as neighbour:
        with pytest.raises(Unavailable) as refusal:
            await neighbour.get_json("/")
    assert len(archive.requests) == 2
    assert refusal.value.detail == "archive does not answer."
    assert refusal.value.retry_after == 1


async def test_a_crash_over_one_request_is_not_tried_again_and_closes_the_neighbour_to_nobody(
    archive: Archive,
) -> None:
    archive.script.extend([500, 500])
    async with reading(archive.url, breaker_failures=1) as neighbour:
        for _ in range(2):
            with pytest.raises(ServerFailed):
                await neighbour.get_json("/")
        assert (await neighbour.get_json("/")).status_code == 200
    assert len(archive.requests) == 3


async def test_all_attempts_together_have_a_deadline(archive: Archive) -> None:
    archive.otherwise = "hang"
    began = asyncio.get_running_loop().time()
    async with reading(archive.url, timeout=60, attempts=100, total=0.3) as neighbour:
        with pytest.raises(Unavailable):
            await neighbour.get_json("/")
    assert asyncio.get_running_loop().time() - began < 30
    assert len(archive.requests) == 1


async def test_nobody_there_is_unavailable(archive: Archive) -> None:
    async with Archive().serving() as gone:
        url = gone.url
    async with reading(url, attempts=2) as neighbour:
        with pytest.raises(Unavailable):
            await neighbour.get_json("/")


async def test_after_too_many_failures_it_is_left_alone_for_a_while(archive: Archive) -> None:
    archive.otherwise = 503
    async with reading(archive.url, attempts=1, breaker_failures=3, breaker_reset=3600) as neighbour:
        for _ in range(10):
            with pytest.raises(Unavailable) as refusal:
                await neighbour.get_json("/")
    assert len(archive.requests) == 3
    assert 3500 < refusal.value.retry_after <= 3600


async def test_many_callers_send_one_probe_and_all_come_back_when_it_is_answered(archive: Archive) -> None:
    archive.script.extend([503, 503])
    async with reading(archive.url, attempts=1, breaker_failures=2, breaker_reset=0) as neighbour:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await neighbour.get_json("/")
        outcomes = await asyncio.gather(*(neighbour.get_json("/") for _ in range(10)), return_exceptions=True)
        assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [False] + 9 * [True]
        assert len(archive.requests) == 3
        await asyncio.gather(*(neighbour.get_json("/") for _ in range(10)))


async def test_a_caller_who_leaves_is_no_failure_and_frees_the_connection(archive: Archive) -> None:
    archive.script.extend(["hang", "hang"])
    async with reading(archive.url, breaker_failures=1, connections=1) as neighbour:
        for _ in range(2):
            archive.asked.clear()
            call = asyncio.create_task(neighbour.get_json("/"))
            await archive.asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await neighbour.get_json("/")).status_code == 200


async def test_nothing_of_one_caller_sticks_to_the_next(archive: Archive) -> None:
    async with reading(archive.url) as neighbour:
        await neighbour.get_json("/", token="ada")
        await neighbour.get_json("/")
    assert "authorization" not in archive.requests[1][1]
    assert "cookie" not in archive.requests[1][1]
