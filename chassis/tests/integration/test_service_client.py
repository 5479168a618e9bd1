"""What a caller gets from a service that is healthy, slow, broken or down. On a real server."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.errors import TokenRejected, Unavailable
from chassis.outbound import RequestRejected, ServerFailed, ServiceClient
from chassis.telemetry.logs import trace_context


class Archive:
    """Answers by a script, one entry per request: a status, `drop` the connection, or `hang`."""

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
    client = ServiceClient("archive", url, **settings)
    try:
        yield client
    finally:
        await client.aclose()


async def test_a_response_is_returned(archive: Archive) -> None:
    async with reading(archive.url) as client:
        answer = await client.get_json("/v1/boxes", params={"q": "a b&c", "id": ["1", "2"]}, token="t0ken")
    assert (answer.status_code, answer.content, answer.json()) == (200, b'{"id": 7}', {"id": 7})
    [(request, headers)] = archive.requests
    assert request == "GET /v1/boxes?q=a+b%26c&id=1&id=2 HTTP/1.1"
    assert headers["authorization"] == "bearer t0ken"
    assert headers["accept"] == "application/json"


async def test_the_trace_is_passed_on(archive: Archive) -> None:
    async with reading(archive.url) as client:
        with trace_context(None) as traceparent:
            await client.get_json("/")
    [(_, headers)] = archive.requests
    assert headers["traceparent"] == traceparent
    assert "authorization" not in headers


async def test_calls_share_connections(archive: Archive) -> None:
    async with reading(archive.url) as client:
        for _ in range(5):
            await client.get_json("/")
    assert archive.connections == 1


async def test_the_number_of_connections_is_limited(archive: Archive) -> None:
    async with reading(archive.url, connections=2) as client:
        await asyncio.gather(*(client.get_json("/") for _ in range(20)))
    assert archive.connections == 2


@pytest.mark.parametrize("failure", [429, 502, 503, 504, "drop"])
async def test_temporary_failures_are_retried(archive: Archive, failure: int | str) -> None:
    archive.script.extend([failure, failure])
    async with reading(archive.url, attempts=3) as client:
        assert (await client.get_json("/")).status_code == 200


async def test_a_slow_attempt_times_out_and_is_retried(archive: Archive) -> None:
    archive.script.append("hang")
    async with reading(archive.url, timeout=1) as client:
        assert (await client.get_json("/")).status_code == 200


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 414, 422, 431])
async def test_a_rejected_request_is_no_outage(archive: Archive, status: int) -> None:
    archive.otherwise = status
    async with reading(archive.url, breaker_failures=1) as client:
        for _ in range(3):
            with pytest.raises(RequestRejected, match=f'archive answered {status}: {{"id": 7}}'):
                await client.get_json("/")
    assert len(archive.requests) == 3


async def test_a_rejected_token_raises_token_rejected(archive: Archive) -> None:
    archive.otherwise = 401
    async with reading(archive.url) as client:
        with pytest.raises(TokenRejected):
            await client.get_json("/", token="t0ken")


async def test_the_number_of_attempts_is_limited(archive: Archive) -> None:
    archive.otherwise = 503
    async with reading(archive.url, attempts=2) as client:
        with pytest.raises(Unavailable) as refusal:
            await client.get_json("/")
    assert len(archive.requests) == 2
    assert refusal.value.detail == "archive does not answer."
    assert refusal.value.retry_after == 1


async def test_a_500_is_not_retried_and_does_not_open_the_circuit(
    archive: Archive,
) -> None:
    archive.script.extend([500, 500])
    async with reading(archive.url, breaker_failures=1) as client:
        for _ in range(2):
            with pytest.raises(ServerFailed):
                await client.get_json("/")
        assert (await client.get_json("/")).status_code == 200
    assert len(archive.requests) == 3


async def test_all_attempts_together_have_a_deadline(archive: Archive) -> None:
    archive.otherwise = "hang"
    began = asyncio.get_running_loop().time()
    async with reading(archive.url, timeout=60, attempts=100, total=0.3) as client:
        with pytest.raises(Unavailable):
            await client.get_json("/")
    assert asyncio.get_running_loop().time() - began < 30
    assert len(archive.requests) == 1


async def test_a_service_that_is_down_is_unavailable(archive: Archive) -> None:
    async with Archive().serving() as gone:
        url = gone.url
    async with reading(url, attempts=2) as client:
        with pytest.raises(Unavailable):
            await client.get_json("/")


async def test_after_too_many_failures_no_call_is_made_for_a_while(archive: Archive) -> None:
    archive.otherwise = 503
    async with reading(archive.url, attempts=1, breaker_failures=3, breaker_reset=3600) as client:
        for _ in range(10):
            with pytest.raises(Unavailable) as refusal:
                await client.get_json("/")
    assert len(archive.requests) == 3
    assert 3500 < refusal.value.retry_after <= 3600


async def test_concurrent_callers_send_one_probe_and_resume_when_it_succeeds(archive: Archive) -> None:
    archive.script.extend([503, 503])
    async with reading(archive.url, attempts=1, breaker_failures=2, breaker_reset=0) as client:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await client.get_json("/")
        outcomes = await asyncio.gather(*(client.get_json("/") for _ in range(10)), return_exceptions=True)
        assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [False] + 9 * [True]
        assert len(archive.requests) == 3
        await asyncio.gather(*(client.get_json("/") for _ in range(10)))


async def test_a_cancelled_call_is_no_failure_and_frees_the_connection(archive: Archive) -> None:
    archive.script.extend(["hang", "hang"])
    async with reading(archive.url, breaker_failures=1, connections=1) as client:
        for _ in range(2):
            archive.asked.clear()
            call = asyncio.create_task(client.get_json("/"))
            await archive.asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await client.get_json("/")).status_code == 200


async def test_no_cookie_or_header_of_one_caller_is_sent_for_the_next(archive: Archive) -> None:
    async with reading(archive.url) as client:
        await client.get_json("/", token="ada")
        await client.get_json("/")
    assert "authorization" not in archive.requests[1][1]
    assert "cookie" not in archive.requests[1][1]
