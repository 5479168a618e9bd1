"""The report of a chaos run, as text and as JSON."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any, Literal

from rich.console import Console

from lab.chaos.recovery import LONG, Recovery

MOST_SHOWN = 10


@dataclass(frozen=True)
class LoadSummary:
    """The load, and what came of it."""

    checkouts: int
    accepted: int
    refused: dict[str, int]  # by status
    gone_away: int  # shoppers who gave up before a checkout
    per_second: float
    ended: dict[str, int]
    cancelled_for: dict[str, int]
    answers: dict[str, int]  # responses and connection errors, retries included
    undeliverable: dict[str, int]  # mails that were listed for an operator, by fate
    longest_pause: float  # seconds in which no order was paid
    beside: dict[str, int] = field(default_factory=dict)  # what happened besides plain checkouts


@dataclass(frozen=True)
class Report:
    """`amiss` has the violations by the name of their check; `spoilt` are faults that could not be
    injected."""

    seed: int
    seconds: float
    settled_after: float
    brokers: int
    replicas: int
    machine: dict[str, str | int]
    weather: LoadSummary
    faults: dict[str, int]
    spoilt: list[str]
    recoveries: list[Recovery]
    amiss: dict[str, list[str]]
    nudged: dict[str, int] = field(default_factory=dict)  # orders, by kind of issue
    apart: bool = False

    @property
    def is_well(self) -> bool:
        return not any(self.amiss.values())

    @property
    def long_alone(self) -> list[Recovery]:
        """Faults that delayed a new order for too long by themselves, the longest first."""
        found = [one for one in self.recoveries if (one.alone or 0) > LONG]
        return sorted(found, key=attrgetter("alone"), reverse=True)

    def longest(self, seconds: Literal["until_paid", "until_caught_up", "alone"]) -> Recovery | None:
        """Of those that ended during the run."""
        known = [one for one in self.recoveries if getattr(one, seconds) is not None]
        return max(known, key=attrgetter(seconds), default=None)


def document(report: Report) -> dict[str, Any]:
    slowest = {
        "slowest_alone": report.longest("alone"),
        "slowest_recovery": report.longest("until_paid"),
        "longest_backlog": report.longest("until_caught_up"),
    }
    return {
        "well": report.is_well,
        **asdict(report),
        "long_alone": [asdict(one) for one in report.long_alone],
        **{name: asdict(one) if one else None for name, one in slowest.items()},
    }


def show(console: Console, report: Report) -> None:
    load, machine = report.weather, report.machine
    lines = [
        f"seed {report.seed}, {report.seconds:.0f} s of faults, quiet {report.settled_after:.0f} s after; "
        f"{report.brokers} nodes of RabbitMQ, {report.replicas} of each service; {machine['processor']}, "
        f"{machine['cores']} cores, Python {machine['python']}, RabbitMQ {machine['rabbitmq']}",
        f"{load.checkouts} checkouts, {load.per_second} orders/s: {_counts(load.ended)} "
        f"(for {_counts(load.cancelled_for)}); {sum(load.refused.values())} refused, "
        f"{load.gone_away} shoppers left before they checked out",
        f"beside the plain flow: {_counts(load.beside)}",
        f"answers: {_counts(load.answers)}",
        f"mails listed for an operator: {_counts(load.undeliverable)}",
        f"longest time with no order being paid: {load.longest_pause} s",
        f"{sum(report.faults.values())} faults: {_counts(report.faults)}",
    ]
    if report.nudged:
        lines.append(f"{sum(report.nudged.values())} orders nudged afterwards: {_counts(report.nudged)}")
    if report.spoilt:
        lines.append(f"{len(report.spoilt)} faults could not be injected because of others")
    if (slowest := report.longest("until_paid")) is not None:
        lines.append(f"longest until a new order was paid: {slowest.until_paid} s, {_since(slowest)}")
    if (backlog := report.longest("until_caught_up")) is not None:
        lines.append(f"longest until all had ended: {backlog.until_caught_up} s, {_since(backlog)}")
    if (alone := report.longest("alone")) is not None:
        lines.append(f"longest that one fault alone held a new order: {_counted(alone)}")
    lines += [f"over {LONG:.0f} s: {_counted(one)}" for one in report.long_alone]
    for line in lines:
        console.print(line, highlight=False, markup=False)
    for name, found in report.amiss.items():
        if found:
            console.print(f"✗ {name}: {len(found)}", style="red", markup=False)
        for violation in found[:MOST_SHOWN]:
            console.print(f"      {violation}", style="red", markup=False)
        if len(found) > MOST_SHOWN:
            console.print(f"      … and {len(found) - MOST_SHOWN} more (the JSON has them all)")
    if report.is_well:
        console.print("✓ nothing lost, doubled or stuck", style="green")


def _counted(recovery: Recovery) -> str:
    why = f": {recovery.why}" if recovery.why else ""
    return f"{recovery.alone} s, {recovery.fault} at {recovery.fault.at} s{why}"


def _since(recovery: Recovery) -> str:
    return f"after {recovery.fault} at {recovery.fault.at} s and what followed"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(counts).most_common()) or "none"
