"""The steps of a service, one for each event: the topology and the saga table are generated from them."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chassis.saga.event import Event
from chassis.saga.tx import Tx

E = TypeVar("E", bound=Event)
StepFunction = Callable[[E, Tx], Awaitable[None]]
Locks = Callable[[Any], Iterable[tuple[type, Any]]]


@dataclass(frozen=True)
class Step:
    """One step: the event, the function, which events it may publish, and which step it compensates."""

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
        return (inspect.getdoc(self.run) or self.name.replace("_", " ")).split("\n")[0]


class Steps:
    """The steps of one queue, one per event type.

    `queue` is the queue's name and starts with the service's. `locks` names the rows that a step will
    load, as pairs of row type and key: the consumer locks those of a whole batch in one statement per
    table, sorted by key, before the first step runs. A step may load others, at a round trip each.
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
            undone = None if compensates is None else compensates.__name__
            self._by_type[key] = Step(event, run, tuple(publishes), undone, locks or self._locks)
            return run

        return register

    def find(self, type_: str, version: int) -> Step | None:
        return self._by_type.get((type_, version))

    def publisher(self, type_: str) -> str | None:
        """Who publishes events of a type that a step here is for."""
        return next((step.event.publisher for step in self if step.event.type == type_), None)

    def __iter__(self) -> Any:
        return iter(self._by_type.values())

    def routing_keys(self) -> list[str]:
        """The routing keys that the queue is bound to."""
        return sorted({step.event.type for step in self._by_type.values()})
