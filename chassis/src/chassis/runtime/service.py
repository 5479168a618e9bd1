"""Declares a service: its name, its settings, its routes, the events that it consumes and publishes. The
chassis does the rest, in the same way for all services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.http import problems
from chassis.http.identity import TokenVerifier
from chassis.http.jwks import PublishedKeys
from chassis.http.middleware import LimitBody, Trace
from chassis.http.provided import Registry
from chassis.http.routes import HeadRoute, refuse_ignored
from chassis.runtime.jobs import Job
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.wakeup import Notifier
from chassis.runtime.worker import Worker
from chassis.saga.intents import Call
from chassis.saga.topology import Participant
from chassis.storage import database
from chassis.tls import distrust

log = structlog.get_logger()

S = TypeVar("S", bound=ServiceSettings)

CLOSE_SECONDS = 2.0
READY_TIMEOUT_SECONDS = 2


@dataclass(frozen=True)
class Chassis:
    """What the chassis gives a service to build its components with.

    `engine`: the service's database.
    `transactions`: opens transactions that publish events.
    `verifier`: verifies callers' access tokens.
    `stopping`: set when shutdown begins; open event streams have to end then.
    """

    engine: AsyncEngine
    transactions: database.Transactions
    verifier: TokenVerifier
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Components:
    """What a service is made of.

    `routers`: its HTTP routes.
    `provide`: what its routes ask for by type (see `Provided`).
    `call`: makes the remote calls that its steps intend.
    `issues`: names what keeps these calls from making progress, for `/readyz`.
    `jobs`: its periodic jobs, which run in workers.
    `closing`: awaited one after the other when the service stops.
    """

    routers: Sequence[APIRouter] = ()
    provide: Sequence[object] = ()
    call: Call | None = None
    issues: Callable[[], Mapping[str, str]] = dict
    jobs: Sequence[Job] = ()
    closing: Sequence[Callable[[], Awaitable[None]]] = ()


@dataclass(frozen=True)
class Service(Generic[S]):
    """A service's declaration.

    `participant`: its name and its part in sagas.
    `settings`: the type of its settings.
    `build`: makes its components.
    `description`: for its OpenAPI document.
    """

    participant: Participant
    settings: type[S]
    build: Callable[[S, Chassis], Components]
    description: str = ""

    @property
    def name(self) -> str:
        return self.participant.name

    def app(self, settings: S) -> FastAPI:
        """The ASGI application. In the role `api` it serves the service's routes, in the role `worker` it
        runs the background work, and in `all` both."""
        engine = database.connect(
            settings.database_url,
            password_file=settings.database_password_file,
            pool_size=settings.pool_size,
            timeout=settings.database_timeout,
            statement_timeout=settings.statement_timeout,
            lock_timeout=settings.lock_timeout,
        )
        has_worker = settings.role != "api"
        transactions = database.Transactions(engine, self.name, lease=settings.lease)
        keys = PublishedKeys(settings.jwks_url)
        verifier = TokenVerifier(keys, settings.token_issuer, settings.token_audience)
        chassis = Chassis(engine, transactions, verifier)
        components = self.build(settings, chassis)
        worker = Worker(
            self.participant,
            settings,
            transactions,
            components.call,
            components.jobs,
            components.issues,
        )

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            if has_worker:
                await worker.start()
                yield
            else:
                notifier = Notifier(engine)
                transactions.after_commit(relay=notifier, runner=notifier)
                async with _running(notifier.run()):
                    yield
            chassis.stopping.set()
            await worker.stop()
            await _close([*components.closing, keys.aclose, engine.dispose])

        app = FastAPI(
            title=self.name,
            description=self.description,
            version="1",
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # a redirect's address would contain the client's Host header
            servers=[{"url": "/"}],
            dependencies=[Depends(refuse_ignored)],
        )
        registry = Registry([verifier, chassis, worker, *components.provide])
        registry.check(components.routers)
        app.state.registry = registry
        app.include_router(health_routes(engine, worker if has_worker else None))
        if settings.role != "worker":
            for router in components.routers:
                app.include_router(router)
        app.router.routes.append(HeadRoute(app))
        problems.install(app)
        app.add_middleware(LimitBody, max_bytes=settings.max_body_bytes)
        app.add_middleware(Trace)
        return app


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _close(closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Close one after the other, all within `CLOSE_SECONDS`, even if some of them fail."""
    deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
    for close in closing:
        try:
            async with asyncio.timeout_at(deadline):
                await close()
        except Exception:
            log.exception("component did not close")


def health_routes(engine: AsyncEngine, worker: Worker | None) -> APIRouter:
    """The routes for probes, which are not part of the OpenAPI document. `/healthz`: the process answers.
    `/readyz`: database and broker answer, too, and the queues make progress."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        checks: dict[str, Any] = {"database": await _database(engine)}
        if worker is not None:
            checks["broker"] = "ok" if worker.connected else "not connected"
            checks |= worker.issues()
        ready = all(state == "ok" for state in checks.values())
        return JSONResponse(checks, status_code=200 if ready else 503)

    return router


async def _database(engine: AsyncEngine) -> str:
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        if reason := distrust(error):
            return f"certificate not trusted: {reason}; see DATABASE_CA_FILE"
        return type(error).__name__
    return "ok"
