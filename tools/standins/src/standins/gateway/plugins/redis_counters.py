"""Counts in a redis that several gateways share."""

from collections.abc import Sequence

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from standins.gateway.plugins.rate_limiting import CannotCount, RedisConfig, Window

# As many as Kong keeps open to one redis.
_MOST_CONNECTIONS = 100


class RedisCounters:
    """Counts every request, refused ones too, in redis: as Kong does with `sync_rate: -1`."""

    def __init__(self, redis: Redis, scope: str) -> None:
        self._redis = redis
        self._scope = scope

    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        pipeline = self._redis.pipeline(transaction=True)
        for window in windows:
            key = f"ratelimit:{self._scope}:{client}:{window.started(now)}:{window.name}"
            pipeline.incr(key)
            pipeline.expire(key, window.seconds)
        try:
            answers = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise CannotCount(f"redis: {error!r}") from error
        return [int(count) - 1 for count in answers[::2]]

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        """Nothing: `used` has counted it."""


def connect(config: RedisConfig) -> Redis:
    """A client that connects when it is first used, and never tries twice. With `ssl` it trusts OpenSSL's own
    CAs, or those of SSL_CERT_FILE, and verifies the host name."""
    timeout = config.timeout / 1000
    return Redis(
        connection_pool=BlockingConnectionPool(
            connection_class=SSLConnection if config.ssl else Connection,
            host=config.host,
            port=config.port,
            password=config.password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            timeout=timeout,
            max_connections=_MOST_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    )
