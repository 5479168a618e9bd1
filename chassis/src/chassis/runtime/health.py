"""`/healthz`: the process answers. `/readyz`: database and broker answer, too, and the queues make
progress."""

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.worker import Worker

READY_TIMEOUT_SECONDS = 2


def health_routes(engine: AsyncEngine, worker: Worker | None) -> APIRouter:
    """The routes for probes, which are not part of the OpenAPI document."""
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
        return type(error).__name__
    return "ok"
