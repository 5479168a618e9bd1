"""Routes get components by type, and a service that lacks one does not start."""

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from chassis.http.provided import NotProvided, Provided, Registry


class Clock:
    hour = 7


class Bell:
    def __init__(self, clock: Clock) -> None:
        self.sound = f"{clock.hour} strokes"


async def strokes(bell: Provided[Bell]) -> str:
    return bell.sound


router = APIRouter()


@router.get("/hour")
async def hour(clock: Provided[Clock]) -> int:
    return clock.hour


@router.get("/bell")
async def ring(sound: str = Depends(strokes)) -> str:
    return sound


def application(*components: object) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    app.state.registry = Registry(components)
    return app


async def test_a_route_is_given_the_component_of_the_type_that_it_asks_for() -> None:
    app = application(Clock(), Bell(Clock()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tower") as client:
        assert (await client.get("/hour")).json() == 7
        assert (await client.get("/bell")).json() == "7 strokes"


def test_a_component_that_only_a_dependency_asks_for_has_to_be_provided() -> None:
    components = Registry([Clock()])
    with pytest.raises(NotProvided, match="Bell"):
        components.check([router])
    components.provide(Bell(Clock()))
    components.check([router])


def test_two_components_of_a_type_are_rejected() -> None:
    with pytest.raises(ValueError, match="Clock"):
        Registry([Clock(), Clock()])


class Stopped(Clock):
    hour = 12


def test_a_component_is_found_by_its_base_type() -> None:
    assert Registry([Stopped()])[Clock].hour == 12
    with pytest.raises(NotProvided, match="2 components are a object"):
        Registry([Stopped(), Bell(Clock())])[object]


def test_a_component_can_be_replaced() -> None:
    components = Registry([Clock()])
    components.provide(Stopped(), Clock)
    assert components[Clock].hour == 12
