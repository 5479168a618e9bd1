"""States and what may happen next: everything that a crash, a broker, a provider or a shopper may do.

A state is one flat tuple of integers: the state of each actor, the ledger of the world outside, and as
bits what was published, what lies in queues and outboxes, and which answers to remote calls are in the air. A
queue is a set: any message of it may be delivered next.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chassis.saga.tx import Event
from tests.model.actor import Actor, LocalState, Numbers, Transition

State = tuple[int, ...]

UNFAIR = frozenset(
    {
        "crash before commit",
        "crash after commit",
        "redeliver",
        "deliver forged",
        "publish twice",
        "lose",
        "lose answer",
    }
)
"""Accidents, which may happen or not. All else happens sooner or later, except optional moves."""

# Calls that change nothing outside: of several answers one is settled, so no more than one is in the air.
READS = ("look:",)


class Move(NamedTuple):
    """One thing that happens: its kind, the actor concerned, and the event, call or command."""

    kind: str
    who: int
    what: Any = None


class World:
    """Services that consume each other's events, and the world outside that they call.

    Without `copies`, what is published is in the queues at once, and a message that is handled is gone from
    its queue: no outbox is visible, and a queue may keep a message for any time, so no state of the services
    is lost. In each state each message that was handled before is delivered once more, to an inbox that has
    forgotten it, and explored further where that makes a difference. Likewise each forged event that is
    accepted, one in a history. With `copies`, outboxes and the copies that crashes leave in the queues are
    states of their own, and far too many for anything but the smallest world. As many messages as there are
    `losses` may disappear for good, as when a dead letter is discarded. `edits` are events that reach one of
    them as another event; a step whose error is among `dead_letters` leaves a dead letter and nothing else.
    """

    def __init__(
        self,
        events: Numbers[Event],
        actors: Sequence[Actor],
        begin: Sequence[int],
        *,
        optional: frozenset[str] = frozenset(),
        copies: bool = False,
        losses: int = 0,
        edits: Mapping[tuple[int, int], int] | None = None,
        dead_letters: Sequence[str] = (),
    ) -> None:
        self.events = events
        self.actors = actors
        self._unfair = UNFAIR | optional
        self._copies = copies
        self._losses = losses
        self._edits = edits or {}
        self._dead_letters = tuple(dead_letters)
        self._callers = [who for who, actor in enumerate(actors) if actor.outside]
        count = len(actors)
        self.ledger = {who: count + n for n, who in enumerate(self._callers)}
        end = count + len(self._callers)
        (
            self.published_at,
            self._pending,
            self._outbox,
            self._air,
            self._lost,
            self.failed,
            self._forged_once,
        ) = range(end, end + 7)
        self._messages: Numbers[tuple[int, int]] = Numbers()
        self._answers: Numbers[tuple[int, str, Any]] = Numbers()
        self._failures: Numbers[str] = Numbers()
        self._failures.of("")
        self._called: dict[tuple[int, int, int], list[tuple[Move, int, int]]] = {}
        self._routes: dict[int, list[tuple[int, int]]] = {}
        state = [*(one.start for one in actors), *(actors[who].outside.start for who in self._callers)]  # type: ignore[union-attr]
        state += [0] * 7
        self._publish(state, begin)
        self.start: State = tuple(state)

    def moves(self, state: State) -> Iterator[tuple[Move, State]]:
        """What may happen next, and what then is. A step that fails leads to a state with a `failure`."""
        yield from self._deliveries(state)
        yield from self._repeats(state)
        yield from self._forged_deliveries(state)
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

    def published(self, state: State) -> list[Event]:
        """All events so far."""
        return [self.events[event] for event in _bits(state[self.published_at])]

    def waiting(self, state: State) -> list[tuple[int, Event]]:
        """The messages in queues, and whose they are."""
        found = [self._messages[number] for number in _bits(state[self._pending])]
        return [(who, self.events[event]) for who, event in found]

    def unpublished(self, state: State) -> list[Event]:
        """What forged in outboxes."""
        return [self.events[event] for event in _bits(state[self._outbox])]

    def local(self, state: State, who: int) -> LocalState:
        """An actor's state."""
        return self.actors[who][state[who]]

    def row(self, state: State, who: int, kind: type[Any], key: Any) -> Any:
        """A committed row of one actor."""
        return self.local(state, who).harness.row(kind, key)

    def _deliveries(self, state: State) -> Iterator[tuple[Move, State]]:
        for number in _bits(state[self._pending]):
            who, event = self._messages[number]
            actor = self.actors[who]
            taken = _with(state, self._pending, state[self._pending] & ~(1 << number))
            if state[self._lost] < self._losses:
                yield Move("lose", who, event), _with(taken, self._lost, state[self._lost] + 1)
            transition = actor.transition(state[who], ("deliver", event))
            handled = self._after(state, who, transition)
            if transition.failed is not None:
                is_dead = transition.failed.startswith(self._dead_letters or (" ",))
                yield Move("deliver", who, event), taken if is_dead else handled
                continue
            yield Move("deliver", who, event), self._after(taken, who, transition)
            if self._copies and handled != state:
                yield Move("crash after commit", who, event), handled
            if (published := self.survives(transition.published)) != transition.published:
                lost = transition._replace(published=published)
                yield Move("crash after commit", who, event), self._after(state, who, lost)
            crashed = actor.transition(state[who], ("crash", event))
            if crashed.state != state[who]:
                yield Move("crash before commit", who, event), self._after(state, who, crashed)

    def _repeats(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, actor in enumerate(self.actors):
            for event in actor.repeats(state[who]):
                transition = actor.transition(state[who], ("redeliver", event))
                yield Move("redeliver", who, event), self._after(state, who, transition)

    def _forged_deliveries(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, actor in enumerate(self.actors if not state[self._forged_once] else ()):
            for number in range(len(actor.forged)):
                transition = actor.transition(state[who], ("forged", number))
                if transition.failed is None and transition.state != state[who]:
                    after = self._after(state, who, transition)
                    yield (
                        Move("deliver forged", who, actor.forged[number]),
                        _with(after, self._forged_once, 1),
                    )

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
            at = self.ledger[who]
            for move, ledger, answer in self._callable(who, state[who], state[at]):
                if move.what[0].startswith(READS) and self._is_answered(state, who, move.what[0]):
                    continue
                after = list(state)
                after[at] = ledger
                after[self._air] |= answer
                if tuple(after) != state:
                    yield move, tuple(after)

    def _is_answered(self, state: State, who: int, key: str) -> bool:
        """Whether an answer is in the air. Where another is settled instead, this one need not be given."""
        return any(self._answers[number][:2] == (who, key) for number in _bits(state[self._air]))

    def _outside(self, state: State) -> Iterator[tuple[Move, State]]:
        for who in self._callers:
            at, outside = self.ledger[who], self.actors[who].outside
            assert outside is not None
            for what, ledger in outside.moves(state[at]):
                yield Move(what, who), _with(state, at, ledger)

    def _callable(self, who: int, local: int, ledger: int) -> list[tuple[Move, int, int]]:
        """What may come of the calls to be made: the ledger afterwards, and the answer as a bit."""
        if (who, local, ledger) not in self._called:
            here, outside = self.actors[who][local], self.actors[who].outside
            assert outside is not None
            found = self._called[who, local, ledger] = []
            for intent in here.intents:
                for after, outcome in outside.calls(ledger, intent, here):
                    bit = 0 if outcome is None else 1 << self._answers.of((who, intent.key, outcome))
                    kind = "call" if bit else "lose answer"
                    found.append((Move(kind, who, (intent.key, outcome)), after, bit))
                aged = outside.age(ledger, intent.key)
                found.append((Move("a day passes", who, (intent.key, None)), aged, 0))
        return self._called[who, local, ledger]

    def _settling(self, state: State) -> Iterator[tuple[Move, State]]:
        for number in _bits(state[self._air]):
            who, key, outcome = self._answers[number]
            transition = self.actors[who].transition(state[who], ("settle", (key, outcome)))
            left = state[self._air]
            for other in _bits(left):  # of several answers to one call the first that is settled counts
                if transition.failed is None and self._answers[other][:2] == (who, key):
                    left &= ~(1 << other)
            settled = _with(state, self._air, left)
            yield Move("settle", who, (key, outcome)), self._after(settled, who, transition)

    def _commands(self, state: State) -> Iterator[tuple[Move, State]]:
        for who, actor in enumerate(self.actors):
            for name, command in actor.commands.items():
                if command.when is not None and not command.when(state[who], state[self.ledger[who]]):
                    continue
                transition = actor.transition(state[who], ("do", name))
                after = self._after(state, who, transition)
                if after != state and command.forgets and actor.outside:
                    at = self.ledger[who]
                    after = _with(after, at, actor.outside.forget(state[at], command.forgets))
                if after != state:
                    yield Move(name, who), after

    def _after(self, state: State, who: int, transition: Transition) -> State:
        after = list(state)
        after[who] = transition.state
        if transition.failed is not None:
            after[self.failed] = self._failures.of(transition.failed)
        self._publish(after, transition.published)
        return tuple(after)

    def _publish(self, state: list[int], published: Sequence[int]) -> None:
        for event in published:
            state[self.published_at] |= 1 << event
            if self._copies:
                state[self._outbox] |= 1 << event
                continue
            for message, who in self._routed(event):
                if event not in self.actors[who][state[who]].handled:
                    state[self._pending] |= 1 << message

    def _routed(self, event: int) -> list[tuple[int, int]]:
        """The messages that an event becomes, and whose they are."""
        if event not in self._routes:
            consumers = [who for who, one in enumerate(self.actors) if one.consumes(self.events[event])]
            edited = [(who, self._edits.get((who, event), event)) for who in consumers]
            self._routes[event] = [(self._messages.of(message), message[0]) for message in edited]
        return self._routes[event]

    @staticmethod
    def survives(published: tuple[int, ...]) -> tuple[int, ...]:
        """What is still published after a crash just behind the commit: the outbox was committed with it."""
        return published


def _with(state: State, at: int, value: int) -> State:
    return (*state[:at], value, *state[at + 1 :])


def _bits(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
