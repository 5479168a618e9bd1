"""Only what an operator would be told to nudge is nudged."""

from uuid import UUID

from lab.chaos.healing import to_nudge
from shop.sagas.snapshot import Issue

ONE, TWO = UUID(int=1), UUID(int=2)


def finding(kind: str, order_id: UUID | None, advice: str) -> Issue:
    return Issue(kind, order_id, None, "", advice)


def test_whatever_is_to_be_nudged_is_nudged_once_under_its_first_name() -> None:
    findings = [
        finding("slow", ONE, f"shop saga nudge {ONE} --why TEXT"),
        finding("letter-not-written", ONE, f"shop saga nudge {ONE} --why TEXT"),
        finding("outcome-unknown", TWO, f"shop logs payment; shop saga nudge {TWO} --why TEXT"),
        finding("dead-letter", UUID(int=3), "shop dead-letters show abc"),
        finding("broker-differs", None, "shop broker restore --why TEXT"),
    ]
    assert to_nudge(findings) == {ONE: "slow", TWO: "outcome-unknown"}
