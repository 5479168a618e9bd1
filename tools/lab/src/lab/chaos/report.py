"""What a run comes to, as text and as data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from lab.chaos.recovery import Recovery

MOST_SHOWN = 10
LONG = 15.0  # seconds that one fault may hold a new order


@dataclass(frozen=True)
class Weather:
    """The load that was held, and what came of it."""

    checkouts: int
    accepted: int
    refused: dict[str, int]  # by status
    gone_away: int
    per_second: float
    ended: dict[str, int]
    cancelled_for: dict[str, int]
    answers: dict[str, int]  # every single one, before anybody tried again
    undeliverable: dict[str, int]  # mails that were listed for an operator, by fate
    longest_pause: float  # seconds with no order being paid
    beside: dict[str, int] = field(default_factory=dict)  # what is not the plain flow, by what it was


@dataclass(frozen=True)
class Report:
    """`amiss` has everything that must not be, by name; `spoilt` are faults that could not be done."""

    seed: int
    seconds: float
    settled_after: float
    brokers: int
    replicas: int
    machine: dict[str, str | int]
    weather: Weather
    faults: dict[str, int]
    spoilt: list[str]
    recoveries: list[Recovery]
    amiss: dict[str, list[str]]
    nudged: dict[str, int] = field(default_factory=dict)  # orders, by what was found when the storm was over
    apart: bool = False

    @property
    def is_well(self) -> bool:
        return not any(self.amiss.values())

    @property
    def slowest(self) -> Recovery | None:
        """Of all recoveries that were seen to their end."""
        seen = [one for one in self.recoveries if one.until_paid is not None]
        return max(seen, key=lambda one: one.until_paid or 0, default=None)

    @property
    def slowest_alone(self) -> Recovery | None:
        """Of the time that one fault is to blame for by itself."""
        known = [one for one in self.recoveries if one.alone is not None]
        return max(known, key=lambda one: one.alone or 0, default=None)

    @property
    def long_alone(self) -> list[Recovery]:
        """Single faults that held a new order for too long, the longest first."""
        found = [one for one in self.recoveries if (one.alone or 0) > LONG]
        return sorted(found, key=lambda one: -(one.alone or 0))

    @property
    def longest_backlog(self) -> Recovery | None:
        seen = [one for one in self.recoveries if one.until_caught_up is not None]
        return max(seen, key=lambda one: one.until_caught_up or 0, default=None)


def document(report: Report) -> dict[str, Any]:
    return {
        "well": report.is_well,
        **asdict(report),
        "slowest_alone": asdict(report.slowest_alone) if report.slowest_alone else None,
        "long_alone": [asdict(one) for one in report.long_alone],
        "slowest_recovery": asdict(report.slowest) if report.slowest else None,
        "longest_backlog": asdict(report.longest_backlog) if report.longest_backlog else None,
    }


def tell(console: Console, report: Report) -> None:
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
        lines.append(f"{len(report.spoilt)} faults could not be done, for what else was broken")
    if (slowest := report.slowest) is not None:
        lines.append(f"longest until a new order was paid: {slowest.until_paid} s, {_since(slowest)}")
    if (backlog := report.longest_backlog) is not None:
        lines.append(f"longest until all had ended: {backlog.until_caught_up} s, {_since(backlog)}")
    if (alone := report.slowest_alone) is not None:
        lines.append(f"longest that one fault alone held a new order: {_blame(alone)}")
    lines += [f"over {LONG:.0f} s: {_blame(one)}" for one in report.long_alone]
    for line in lines:
        console.print(line, highlight=False, markup=False)
    for name, found in report.amiss.items():
        if found:
            console.print(f"✗ {name}: {len(found)}", style="red", markup=False)
        for finding in found[:MOST_SHOWN]:
            console.print(f"      {finding}", style="red", markup=False)
        if len(found) > MOST_SHOWN:
            console.print(f"      … and {len(found) - MOST_SHOWN} more (the JSON has them all)")
    if report.is_well:
        console.print("✓ nothing lost, doubled or stuck", style="green")


def _blame(recovery: Recovery) -> str:
    why = f": {recovery.why}" if recovery.why else ""
    return f"{recovery.alone} s, {recovery.fault} at {recovery.fault.at} s{why}"


def _since(recovery: Recovery) -> str:
    return f"after {recovery.fault} at {recovery.fault.at} s and what followed"


def _counts(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in most_first) or "none"
