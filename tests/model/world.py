"""States and what may happen next: everything that a crash, a broker, a provider or a shopper may do.

A state is one flat tuple of integers: the state of each automaton, the books of the world outside, and as
bits what was said, what lies in queues and outboxes, and which answers to remote calls are in the air. A
queue is a set: any message of it may be delivered next.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chassis.saga.tx import Event
from tests.model.automaton import Automaton, Numbers, Place, Turn

State = tuple[int, ...]

UNFAIR = frozenset(
    {
        "crash before commit",
        "crash after commit",
        "hear again",
        "hear a lie",
        "publish twice",
        "lose",
        "lose answer",
    }
)
"""Accidents, which may happen or not. All else happens sooner or later, except what is somebody's whim."""

# Calls that change nothing outside: of several answers one is settled, so no more than one is in the air.
READS = ("look:",)


class Move(NamedTuple):
    """One thing that happens: its kind, the automaton concerned, and the event, call or command."""

    kind: str
    who: int
    what: Any = None


class World:
    """Services that hear each other's events, and the world outside that they call.

    Without `copies`, what is said is in the queues at once, and a message that is handled is gone from its
    queue: nobody sees an outbox, and a queue may keep a message as long as it likes, so no state of the
    services is lost. In each state each message that was handled before is delivered once more, to an inbox
    that has forgotten it, and explored further where that makes a difference. Likewise each lie of a hostile
    neighbour that is believed, one in a history. With `copies`, outboxes and the copies that crashes leave
    in the queues are states of their own, and far too many for anything but the smallest world. As many
    messages as there are `losses` may disappear for good, as when a dead letter is discarded. `edits` are
    events that reach one of them as another event; a step whose error is among `dead_letters` leaves a dead
    letter and nothing else.
    """

    def __init__(
        self,
        events: Numbers[Event],
        automata: Sequence[Automaton],
        begin: Sequence[int],
        *,
        whims: frozenset[str] = frozenset(),
        copies: bool = False,
        losses: int = 0,
        edits: Mapping[tuple[int, int], int] | None = None,
        dead_letters: Sequence[str] = (),
    ) -> None:
        self.events = events
        self.automata = automata
        self._unfair = UNFAIR | whims
        self._copies = copies
        self._losses = losses
        self._edits = edits or {}
        self._dead_letters = tuple(dead_letters)
        self._callers = [who for who, automaton in enumerate(automata) if automaton.outside]
        count = len(automata)
        self.books = {who: count + n for n, who in enumerate(self._callers)}
        end = count + len(self._callers)
        self.said_at, self._pending, self._outbox, self._air, self._lost, self.failed, self._deceived = range(
            end, end + 7
        )
        self._messages: Numbers[tuple[int, int]] = Numbers()
        self._answers: Numbers[tuple[int, str, Any]] = Numbers()
        self._failures: Numbers[str] = Numbers()
        self._failures.of("")
        self._called: dict[tuple[int, int, int], list[tuple[Move, int, int]]] = {}
        self._routes: dict[int, list[tuple[int, int]]] = {}
        state = [*(one.start for one in automata), *(automata[who].outside.start for who in self._callers)]  # type: ignore[union-attr]
        state += [0] * 7
        self._say(state, begin)
        self.start: State = tuple(state)

    def moves(self, state: State) -> Iterator[tuple[Move, State]]:
        """What may happen next, and what then is. A step that fails leads to a state with a `failure`."""
        yield from self._deliveries(state)
        yield from self._repeats(state)
        yield from self._lies(state)
        yield from self._publishing(state)
        yield from self._calls(state)
        yield from self._outside(state)
        yield from self._settling(state)
        yield from self._commands(state)

    def is_fair(self, move: Move) -> bool:
        """Whether it is bound to happen if nothing else does."""
        return move.kind not in self._unfair

    def failure(self, state: State) -> str:
        """The error that a step or a settlement ended with just now."""
        return self._failures[state[self.failed]]

    def said(self, state: State) -> list[Event]:
        """All that was said so far."""
        return [self.events[event] for event in _bits(state[self.said_at])]

    def waiting(self, state: State) -> list[tuple[int, Event]]:
        """The messages that lie in queues, and whose they are."""
        found = [self._messages[number] for number in _bits(state[self._pending])]
        return [(who, self.events[event]) for who, event in found]

    def unpublished(self, state: State) -> list[Event]:
        """What lies in outboxes."""
        return [self.events[event] for event in _bits(state[self._outbox])]

    def place(self, state: State, who: int) -> Place:
        """Where an automaton stands."""
        return self.automata[who][state[who]]

    def row(self, state: State, who: int, kind: type[Any], key: Any) -> Any:
        """A committed row of one automaton."""
        return self.place(state, who).harness.row(kind, key)

    def _deliveries(self, state: State) -> Iterator[tuple[Move, State]]:
        for number in _bits(state[self._pending]):
            who, event = self._messages[number]
            automaton = self.automata[who]
            taken = _with(state, self._pending, state[self._pending] & ~(1 << number))
            if state[self._lost] < self._losses:
                yield Move("lose", who, event), _with(taken, self._lost, state[self._lost] + 1)
            turn = automaton.turn(state[who], ("hear", event))
            handled = self._after(state, who, turn)
            if turn.failed is not None:
                is_dead = turn.failed.startswith(self._dead_letters or (" ",))
                yield Move("hear", who, event), taken if is_dead else handled
                continue
            yield Move("hear", who, event), self._after(taken, who, turn)
            if self._copies and handled != state:
                yield Move("crash after commit", who, event), handled
            if (said := self.survives(turn.said)) != turn.said:
                lost = turn._replace(said=said)
                yield Move("crash after commit", who, event), self._after(state, who, lost)
            crashed = automaton.turn(state[who], ("crash", event))
            if crashed.state != state[who]:
                yield Move("crash before commit", who, event), self._after(state, who, crashed)

    def _repeats(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, automaton in enumerate(self.automata):
            for event in automaton.repeats(state[who]):
                turn = automaton.turn(state[who], ("again", event))
                yield Move("hear again", who, event), self._after(state, who, turn)

    def _lies(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, automaton in enumerate(self.automata if not state[self._deceived] else ()):
            for number in range(len(automaton.lies)):
                turn = automaton.turn(state[who], ("lie", number))
                if turn.failed is None and turn.state != state[who]:
                    after = self._after(state, who, turn)
                    yield Move("hear a lie", who, automaton.lies[number]), _with(after, self._deceived, 1)

    def _publishing(self, state: State) -> Iterator[tuple[Move, State]]:
        for event in _bits(state[self._outbox]):
            queued = list(state)
            for message, _ in self._routed(event):
                queued[self._pending] |= 1 << message
            if tuple(queued) != state:
                yield Move("publish twice", -1, event), tuple(queued)
            queued[self._outbox] &= ~(1 << event)
            yield Move("publish", -1, event), tuple(queued)

    def _calls(self, state: State) -> Iterator[tuple[Move, State]]:
        for who in self._callers:
            at = self.books[who]
            for move, books, answer in self._callable(who, state[who], state[at]):
                if move.what[0].startswith(READS) and self._is_answered(state, who, move.what[0]):
                    continue
                after = list(state)
                after[at] = books
                after[self._air] |= answer
                if tuple(after) != state:
                    yield move, tuple(after)

    def _is_answered(self, state: State, who: int, key: str) -> bool:
        """Whether an answer is in the air. Where another is settled instead, this one need not be given."""
        return any(self._answers[number][:2] == (who, key) for number in _bits(state[self._air]))

    def _outside(self, state: State) -> Iterator[tuple[Move, State]]:
        for who in self._callers:
            at, outside = self.books[who], self.automata[who].outside
            assert outside is not None
            for what, books in outside.moves(state[at]):
                yield Move(what, who), _with(state, at, books)

    def _callable(self, who: int, place: int, books: int) -> list[tuple[Move, int, int]]:
        """What may come of the calls to be made: the books afterwards, and the answer as a bit."""
        if (who, place, books) not in self._called:
            here, outside = self.automata[who][place], self.automata[who].outside
            assert outside is not None
            found = self._called[who, place, books] = []
            for intent in here.intents:
                for after, outcome in outside.calls(books, intent, here):
                    bit = 0 if outcome is None else 1 << self._answers.of((who, intent.key, outcome))
                    kind = "call" if bit else "lose answer"
                    found.append((Move(kind, who, (intent.key, outcome)), after, bit))
                aged = outside.age(books, intent.key)
                found.append((Move("a day passes", who, (intent.key, None)), aged, 0))
        return self._called[who, place, books]

    def _settling(self, state: State) -> Iterator[tuple[Move, State]]:
        for number in _bits(state[self._air]):
            who, key, outcome = self._answers[number]
            turn = self.automata[who].turn(state[who], ("settle", (key, outcome)))
            left = state[self._air]
            for other in _bits(left):  # of several answers to one call the first that is settled counts
                if turn.failed is None and self._answers[other][:2] == (who, key):
                    left &= ~(1 << other)
            settled = _with(state, self._air, left)
            yield Move("settle", who, (key, outcome)), self._after(settled, who, turn)

    def _commands(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, automaton in enumerate(self.automata):
            for name, command in automaton.commands.items():
                if command.when is not None and not command.when(state[who], state[self.books[who]]):
                    continue
                turn = automaton.turn(state[who], ("do", name))
                after = self._after(state, who, turn)
                if after != state and command.forgets and automaton.outside:
                    at = self.books[who]
                    after = _with(after, at, automaton.outside.forget(state[at], command.forgets))
                if after != state:
                    yield Move(name, who), after

    def _after(self, state: State, who: int, turn: Turn) -> State:
        after = list(state)
        after[who] = turn.state
        if turn.failed is not None:
            after[self.failed] = self._failures.of(turn.failed)
        self._say(after, turn.said)
        return tuple(after)

    def _say(self, state: list[int], said: Sequence[int]) -> None:
        for event in said:
            state[self.said_at] |= 1 << event
            if self._copies:
                state[self._outbox] |= 1 << event
                continue
            for message, who in self._routed(event):
                if event not in self.automata[who][state[who]].heard:
                    state[self._pending] |= 1 << message

    def _routed(self, event: int) -> list[tuple[int, int]]:
        """The messages that an event becomes, and whose they are."""
        if event not in self._routes:
            heard = [who for who, one in enumerate(self.automata) if one.hears(self.events[event])]
            edited = [(who, self._edits.get((who, event), event)) for who in heard]
            self._routes[event] = [(self._messages.of(message), message[0]) for message in edited]
        return self._routes[event]

    @staticmethod
    def survives(said: tuple[int, ...]) -> tuple[int, ...]:
        """What is still published after a crash just behind the commit: the outbox was committed with it."""
        return said


def _with(state: State, at: int, value: int) -> State:
    return (*state[:at], value, *state[at + 1 :])


def _bits(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
