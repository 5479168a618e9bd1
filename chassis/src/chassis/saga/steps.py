"""A service's steps, one for each event that it consumes. The broker's topology and SAGA.md are generated
from them."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chassis.saga.tx import Event, Tx

E = TypeVar("E", bound=Event)
StepFunction = Callable[[E, Tx], Awaitable[None]]
Locks = Callable[[Any], Iterable[tuple[type, Any]]]


@dataclass(frozen=True)
class Step:
    """One step.

    `event`: the type of event that it handles.
    `run`: the function that handles it, in a transaction.
    `publishes`: the types of events that it may publish.
    `compensates`: the name of the step whose effect it undoes.
    `locks`: the rows that it will load (see `Steps`).
    """

    event: type[Event]
    run: StepFunction[Any]
    publishes: tuple[type[Event], ...] = ()
    compensates: str | None = None
    locks: Locks | None = None

    @property
    def name(self) -> str:
        return str(self.run.__name__)

    @property
    def summary(self) -> str:
        """The first paragraph of the step's docstring, or its name."""
        described = inspect.getdoc(self.run) or self.name.replace("_", " ")
        return " ".join(described.split("\n\n")[0].split())


class Steps:
    """The steps of one queue, one per event type.

    `queue`: the queue's name, which begins with the service's.
    `locks`: returns the rows that the step for an event will load, as pairs of row type and key. The consumer
        locks the rows of a whole batch in one statement per table, sorted by key, before the first step runs.
        A step may load other rows; each costs a round trip.
    """

    def __init__(self, queue: str, *, locks: Locks | None = None) -> None:
        self.queue = queue
        self._locks = locks
        self._by_type: dict[tuple[str, int], Step] = {}

    def on(
        self,
        event: type[E],
        *,
        publishes: Sequence[type[Event]] = (),
        compensates: Callable[..., Any] | None = None,
        locks: Locks | None = None,
    ) -> Callable[[StepFunction[E]], StepFunction[E]]:
        """Register the decorated function as the step for `event`. Raises `ValueError` on a second one."""

        def register(run: StepFunction[E]) -> StepFunction[E]:
            key = (event.type, event.version)
            if key in self._by_type:
                raise ValueError(f"{self.queue} has a step for {event.type} v{event.version} already")
            compensated = None if compensates is None else compensates.__name__
            self._by_type[key] = Step(event, run, tuple(publishes), compensated, locks or self._locks)
            return run

        return register

    def find(self, type_: str, version: int) -> Step | None:
        return self._by_type.get((type_, version))

    def publisher(self, type_: str) -> str | None:
        """The publisher of a type of event that one of these steps handles."""
        return next((step.event.publisher for step in self if step.event.type == type_), None)

    def __iter__(self) -> Any:
        return iter(self._by_type.values())

    def routing_keys(self) -> list[str]:
        """The routing keys that the queue is bound to."""
        return sorted({step.event.type for step in self._by_type.values()})
