"""A service's real steps as an actor: what each message makes of each of its states, worked out once."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from chassis.saga.tx import Event, Intent, Tx
from chassis.testing import Harness, Published

T = TypeVar("T")
# ("deliver", event), ("redeliver", event), ("crash", event), ("forged", number), ("settle", (key, outcome)),
# or ("do", command)
Act = tuple[str, Any]


class Numbers(Generic[T]):
    """Gives each distinct thing a number, so that a state of the world is a tuple of integers."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.things: list[T] = []

    def of(self, thing: T, key: Hashable = None) -> int:
        """Its number; `key` replaces a thing that is not hashable itself."""
        number = self._numbers.setdefault(thing if key is None else key, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number

    def __getitem__(self, number: int) -> T:
        return self.things[number]


class Transition(NamedTuple):
    """What came of an act: the state afterwards, the events published, and the error if it failed."""

    state: int
    published: tuple[int, ...] = ()
    failed: str | None = None


@dataclass(frozen=True)
class Command:
    """What a service does unasked by an event: `work` as a request or a sweep does it, `after` so long. By
    then the world outside has forgotten the answer to the call with the key `forgets`. `when` decides by
    its state and the ledger of the world outside whether it may be done."""

    work: Callable[[Tx], Awaitable[None]]
    publishes: Sequence[type[Event]] = ()
    after: timedelta = timedelta(0)
    forgets: str | None = None
    when: Callable[[int, int], bool] | None = None


@dataclass(frozen=True)
class LocalState:
    """One state: what is committed, and the events that were handled on the way here."""

    harness: Harness
    committed: Hashable
    handled: frozenset[int]

    @property
    def intents(self) -> tuple[Intent, ...]:
        return tuple(self.harness.intended.values())


class Called(NamedTuple):
    """One thing that may come of a remote call: the ledger of the world outside afterwards, and the outcome,
    `None` when it stays unknown."""

    ledger: int
    outcome: Any


class Outside(Protocol):
    """The world outside that a service calls. What happened there is a number, its ledger."""

    start: int

    def calls(self, ledger: int, intent: Intent, local: LocalState) -> tuple[Called, ...]:
        """All that may come of making this call now."""

    def moves(self, ledger: int) -> tuple[tuple[str, int], ...]:
        """What may happen there by itself: the name, and the ledger afterwards."""

    def forget(self, ledger: int, key: str) -> int:
        """The ledger once the answer to that call is forgotten."""

    def age(self, ledger: int, key: str) -> int:
        """The same, and the call is without an outcome so far."""


class Actor:
    """Its transitions depend on its own committed state and the message alone, so each is worked out once,
    by the real step on a fork of the harness. What `simplify` changes of a state makes no difference to any
    step, and makes fewer states."""

    def __init__(
        self, name: str, harness: Harness, events: Numbers[Event], consumes: Callable[[Event], bool]
    ) -> None:
        self.name = name
        self.consumes = consumes
        self.commands: dict[str, Command] = {}
        self.forged: list[Published] = []
        self._events = events
        self._locals: Numbers[LocalState] = Numbers()
        self._transitions: dict[tuple[int, Act], Transition] = {}
        self._repeats: dict[int, tuple[int, ...]] = {}
        self.outside: Outside | None = None
        self.about: UUID | None = None
        self.simplify: Callable[[Harness], None] = lambda harness: None
        self.start = self._number(harness.fork(), frozenset())

    def __getitem__(self, state: int) -> LocalState:
        return self._locals[state]

    def transition(self, state: int, act: Act) -> Transition:
        """What comes of it."""
        transition = self._transitions.get((state, act))
        if transition is None:
            transition = self._transitions[state, act] = self._work_out(state, act)
        return transition

    def repeats(self, state: int) -> tuple[int, ...]:
        """The events handled before that would change something if they came again, although the inbox has
        forgotten them; none, if all is well."""
        found = self._repeats.get(state)
        if found is None:
            handled = sorted(self[state].handled)
            found = tuple(
                event
                for event in handled
                if self.transition(state, ("redeliver", event)) != Transition(state)
            )
            self._repeats[state] = found
        return found

    def _work_out(self, state: int, act: Act) -> Transition:
        local = self[state]
        fork, handled = local.harness.fork(), local.handled
        try:
            at_once(self._perform(fork, act))
        except Exception as error:  # goes down the retry ladder; the world takes it for broken
            return Transition(state, failed=f"{type(error).__name__}: {error}")
        finally:
            assert _committed(local.harness) == local.committed, "what is committed changes by commits alone"
        if act[0] == "deliver":
            handled |= {act[1]}
        fork.now = local.harness.now
        return Transition(
            self._number(fork, handled), tuple(self._events.of(event) for event in fork.published)
        )

    async def _perform(self, harness: Harness, act: Act) -> None:
        match act:
            case "deliver", event:
                await harness.consume(self._events[event])
            case "redeliver", event:
                harness.forget(self._events[event])
                await harness.consume(self._events[event])
            case "forged", number:
                await harness.receive(self.forged[number])
            case "crash", event:
                await harness.crash_on(self._events[event])
            case "settle", (key, outcome):
                intent = harness.intended[key]
                await harness.settle(intent.kind, intent.subject, outcome)
            case "do", name:
                command = self.commands[name]
                harness.now += command.after
                await harness.run(command.work, publishes=command.publishes)

    def _number(self, harness: Harness, handled: frozenset[int]) -> int:
        self.simplify(harness)
        committed = _committed(harness)
        return self._locals.of(LocalState(harness, committed, handled), (committed, handled))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something that is not in the model")


def _committed(harness: Harness) -> Hashable:
    rows = frozenset((kind.__name__, frozen(key), frozen(row)) for (kind, key), row in harness.rows.items())
    return rows, frozenset(harness.inbox), frozen(harness.intended)


def frozen(value: Any) -> Hashable:
    """The value as something that can be compared and hashed."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, tuple(frozen(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), frozen(one)) for key, one in value.items()))
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    return value  # type: ignore[no-any-return]
