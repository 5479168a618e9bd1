"""Injects a service's components into its routes by type: `rooms: Provided[Rooms]`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

T = TypeVar("T")


class NotProvided(LookupError):
    """A route asks for a type of which the service provides no component, or several."""


class Registry:
    """The components of a running service, one of each type."""

    def __init__(self, components: Iterable[object] = ()) -> None:
        self._by_type: dict[type, Any] = {}
        for component in components:
            if type(component) in self._by_type:
                raise ValueError(f"two components are a {type(component).__name__}")
            self.provide(component)

    def provide(self, component: object, as_type: type | None = None) -> None:
        """Add a component, or replace the one of its type."""
        self._by_type[as_type or type(component)] = component

    def __getitem__(self, wanted: type[T]) -> T:
        """The component of that type, or of a type derived from it. Raises NotProvided."""
        if wanted not in self._by_type:
            matching = [one for one in self._by_type.values() if isinstance(one, wanted)]
            if len(matching) != 1:
                raise NotProvided(f"{len(matching)} components are a {wanted.__name__}")
            self._by_type[wanted] = matching[0]
        component: T = self._by_type[wanted]
        return component

    def check(self, routers: Iterable[APIRouter]) -> None:
        """Raises NotProvided if a route asks for a component that is missing."""
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    for wanted in _wanted(route.dependant):
                        self[wanted]


def registry(app: FastAPI) -> Registry:
    """The application's components."""
    found: Registry = app.state.registry
    return found


@dataclass(frozen=True)
class _Component:
    """The FastAPI dependency that returns the component of a type."""

    wanted: type

    async def __call__(self, request: Request) -> Any:
        return registry(request.app)[self.wanted]


def _wanted(dependant: Dependant) -> Iterator[type]:
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, _Component):
            yield dependency.call.wanted
        yield from _wanted(dependency)


if TYPE_CHECKING:
    Provided = Annotated[T, "provided"]
else:

    class Provided:
        """`Provided[Rooms]`: the type of a route's parameter that receives the service's `Rooms`."""

        def __class_getitem__(cls, wanted: type) -> Any:
            return Annotated[wanted, Depends(_Component(wanted))]
