"""The real service on a port of its own, with a real database."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet

from auth.main import service
from auth.settings import Settings
from chassis.testing import signing_key

CONTACT_KEY = Fernet.generate_key().decode()


@dataclass
class Auth:
    """A running service: `http` calls it, `database` is a connection beside it."""

    http: httpx.AsyncClient
    database: Any

    async def register(
        self, email: str = "ada@example.com", password: str = "correct horse"
    ) -> dict[str, str]:
        answer = await self.http.post("/v1/users", json={"email": email, "password": password})
        assert answer.status_code == 201, answer.text
        user: dict[str, str] = answer.json()
        return user

    async def log_in(
        self, email: str = "ada@example.com", password: str = "correct horse", **more: Any
    ) -> httpx.Response:
        form = {"grant_type": "password", "username": email, "password": password}
        return await self.http.post("/v1/token", data=form | more.pop("data", {}), **more)

    async def refresh(self, token: str) -> httpx.Response:
        return await self.http.post("/v1/token/refresh", data={"refresh_token": token})

    async def published(self) -> list[tuple[str, Any]]:
        """The events in the outbox, in order."""
        rows = await self.database.fetch("SELECT type, data FROM outbox ORDER BY position")
        return [(row["type"], json.loads(row["data"])) for row in rows]


StartAuth = Callable[..., Awaitable[Auth]]


@pytest.fixture
def signing_keys_file(tmp_path: Path) -> Path:
    keys = [signing_key().as_dict(private=True) for _ in range(2)]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": keys}))
    return file


@pytest.fixture
async def start_auth(migrated: Callable[[str], str], signing_keys_file: Path) -> AsyncIterator[StartAuth]:
    """`await start_auth(login_attempts=2)`: the service with these settings; again for another replica."""
    url = migrated("auth")
    async with AsyncExitStack() as running:

        async def start(**changed: Any) -> Auth:
            return await running.enter_async_context(_running(url, signing_keys_file, changed))

        yield start


@pytest.fixture
async def auth(start_auth: StartAuth) -> Auth:
    return await start_auth()


@asynccontextmanager
async def _running(url: str, keys: Path, changed: dict[str, Any]) -> AsyncIterator[Auth]:
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    given: dict[str, Any] = {
        "database_url": url,
        "amqp_url": "amqp://nobody@127.0.0.1:1/",
        "jwks_url": f"{base}/.well-known/jwks.json",
        "token_issuer": "saga-shop",
        "token_audience": "saga-shop",
        "role": "api",
        "signing_keys_file": keys,
        "contact_key": CONTACT_KEY,
    }
    settings = Settings(**given | changed)
    server = uvicorn.Server(uvicorn.Config(service.app(settings), log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(10):
        while not server.started:
            assert not serving.done(), "the service did not start"
            await asyncio.sleep(0.01)
    database = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=10)
    async with httpx.AsyncClient(base_url=base, timeout=10) as http:
        yield Auth(http, database)
    await database.close()
    server.should_exit = True
    await serving
