"""The report of a chaos run, as text and as JSON."""

import json
from dataclasses import replace
from io import StringIO

from rich.console import Console

from lab.chaos.plan import Fault
from lab.chaos.recovery import Recovery
from lab.chaos.report import LoadSummary, Report, document, show

KILL, CUT = Fault(3, "kill-broker", "rabbitmq", 0), Fault(9.5, "cut-broker", "order", 0)
REPORT = Report(
    seed=7,
    seconds=60,
    settled_after=12,
    brokers=3,
    replicas=2,
    machine={"processor": "a CPU", "cores": 2, "python": "3.11", "rabbitmq": "3.10.8"},
    weather=LoadSummary(
        checkouts=10,
        accepted=10,
        refused={},
        gone_away=1,
        per_second=0.2,
        ended={"paid": 8, "cancelled": 2},
        cancelled_for={"shopper": 2},
        answers={"202": 10, "503": 4},
        undeliverable={"in_doubt": 1},
        longest_pause=9.5,
        beside={"logged in": 2, "disputes": 1},
    ),
    faults={"kill-broker": 1, "cut-broker": 1},
    spoilt=[],
    recoveries=[
        Recovery(KILL, 8.5, 30.0, 8.5, "1", "8.0 s until order.paid (payment)"),
        Recovery(CUT, 1.0, None),
    ],
    nudged={"slow": 3},
    amiss={"lost": [], "doubled": []},
)


def _text(report: Report) -> str:
    output = StringIO()
    show(Console(file=output, width=200), report)
    return output.getvalue()


def test_a_run_without_violations_is_well_and_reports_the_recovery_times() -> None:
    text = _text(REPORT)
    assert "✓ nothing lost, doubled or stuck" in text
    assert "8 paid, 2 cancelled" in text
    assert "until a new order was paid: 8.5 s, after kill-broker rabbitmq at 3 s" in text
    assert "until all had ended: 30.0 s, after kill-broker rabbitmq at 3 s" in text
    assert "beside the plain flow: 2 logged in, 1 disputes" in text
    assert "3 nodes of RabbitMQ, 2 of each service" in text
    assert "3 orders nudged afterwards: 3 slow" in text
    assert (
        "one fault alone held a new order: 8.5 s, kill-broker rabbitmq at 3 s: 8.0 s until order.paid" in text
    )
    assert "over 15 s" not in text


def test_faults_that_delayed_an_order_for_long_are_listed_and_fail_no_run() -> None:
    report = replace(
        REPORT, recoveries=[Recovery(CUT, 16, 16, 15.5), Recovery(KILL, 80, 80, 79.0, "1", "a lease")]
    )
    text = _text(report)
    assert text.index("over 15 s: 79.0 s, kill-broker rabbitmq at 3 s: a lease") < text.index(
        "over 15 s: 15.5 s"
    )
    assert report.is_well
    assert [one["alone"] for one in document(report)["long_alone"]] == [79.0, 15.5]


def test_a_violation_is_printed_under_its_check_and_the_run_is_not_well() -> None:
    text = _text(replace(REPORT, amiss={"lost": ["order 1"], "doubled": []}))
    assert "✗ lost: 1" in text
    assert "order 1" in text
    assert "nothing lost" not in text


def test_many_violations_are_shortened_in_the_text_only() -> None:
    report = replace(REPORT, amiss={"lost": [f"order {number}" for number in range(30)]})
    assert "and 20 more" in _text(report)
    assert len(document(report)["amiss"]["lost"]) == 30


def test_the_json_document_begins_with_whether_all_is_well() -> None:
    read = json.loads(json.dumps(document(REPORT)))
    assert read["well"] is True
    assert read["weather"]["ended"] == {"paid": 8, "cancelled": 2}
    assert read["slowest_alone"]["why"] == "8.0 s until order.paid (payment)"
    assert read["nudged"] == {"slow": 3}
    assert read["slowest_recovery"]["fault"]["kind"] == "kill-broker"
    assert read["recoveries"][1]["until_caught_up"] is None
