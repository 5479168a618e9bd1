"""Only sagas are nudged for which the advice to the operator is a nudge."""

from uuid import UUID

from lab.chaos.repair import to_nudge
from shop.sagas.snapshot import Issue

ONE, TWO = UUID(int=1), UUID(int=2)


def issue(kind: str, order_id: UUID | None, advice: str) -> Issue:
    return Issue(kind, order_id, None, "", advice)


def test_a_saga_is_nudged_once_and_counted_as_its_first_issue() -> None:
    issues = [
        issue("slow", ONE, f"shop saga nudge {ONE} --why TEXT"),
        issue("letter-not-written", ONE, f"shop saga nudge {ONE} --why TEXT"),
        issue("outcome-unknown", TWO, f"shop logs payment; shop saga nudge {TWO} --why TEXT"),
        issue("dead-letter", UUID(int=3), "shop dead-letters show abc"),
        issue("broker-differs", None, "shop broker restore --why TEXT"),
    ]
    assert to_nudge(issues) == {ONE: "slow", TWO: "outcome-unknown"}
