"""Asking an upstream: names to addresses, time-outs, and retries the way nginx does them."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from multidict import CIMultiDict
from yarl import URL

from standins.gateway.config import Service
from standins.gateway.forward import address

# nginx sends these again only when nothing of them has been sent yet.
_NOT_IDEMPOTENT = frozenset(("POST", "PATCH", "LOCK"))
_LARGEST_HEAD = 5000
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# Shorter than uvicorn's 5 s, so that a connection is not taken up just as the service closes it.
_IDLE_SECONDS = 4


class NameUnknown(Exception):
    """No address is known for the upstream's name."""


class BadUpstream(Exception):
    """The upstream refused, hung up or sent no HTTP. `sent`: the request may have reached it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class SlowUpstream(BadUpstream):
    """The upstream did not connect or answer in time."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes to an upstream."""

    method: str
    path_and_query: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Upstreams:
    """The pool of connections to all upstreams. `addresses` maps a name to `host:port`, as DNS would."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self._session = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )
        # aiohttp would try once more of its own accord; kong.yml decides how often. No public switch.
        self._session._retry_connection = False

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, service: Service, ask: Ask) -> ClientResponse:
        """The head of the answer; the caller reads the rest and releases it.

        Raises NameUnknown, or BadUpstream or SlowUpstream once the tries are used up.
        """
        url = URL(f"http://{self._address(service.url)}{ask.path_and_query}", encoded=True)
        headers = CIMultiDict((name.decode(), _text(value)) for name, value in ask.headers)
        headers["host"] = service.url.netloc
        timeout = ClientTimeout(
            sock_connect=service.connect_timeout / 1000, sock_read=service.read_timeout / 1000
        )
        for last in (*[False] * service.retries, True):
            try:
                return await self._once(ask, url, headers, timeout)
            except BadUpstream as failure:
                if last or (failure.sent and ask.method in _NOT_IDEMPOTENT):
                    raise
        raise AssertionError("unreachable")

    async def _once(
        self, ask: Ask, url: URL, headers: CIMultiDict[str], timeout: ClientTimeout
    ) -> ClientResponse:
        try:
            answer = await self._session.request(
                ask.method,
                url,
                headers=headers,
                data=ask.body or None,
                timeout=timeout,
                allow_redirects=False,
            )
        except ConnectionTimeoutError:
            raise SlowUpstream(sent=False) from None
        except ClientConnectorError:
            raise BadUpstream(sent=False) from None
        except TimeoutError:
            raise SlowUpstream(sent=True) from None
        except (ClientError, OSError):
            raise BadUpstream(sent=True) from None
        if sum(len(name) + len(value) for name, value in answer.raw_headers) > _LARGEST_HEAD:
            answer.close()
            raise BadUpstream(sent=True)
        return answer

    def _address(self, url: SplitResult) -> str:
        host = url.hostname or ""
        known = self._addresses.get(host)
        if not known and host != "localhost" and address(host) is None:
            raise NameUnknown(host)
        return known or url.netloc


def _text(value: bytes) -> str:
    """The text that aiohttp, which writes UTF-8, turns into the same bytes where there is one."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
