"""What is wrong with a broker, in words for people and a kind for scripts."""

from dataclasses import dataclass

RESTORE = "shop broker restore --why TEXT"


@dataclass(frozen=True)
class BrokerIssue:
    """`next` is the command that helps, or that shows more."""

    kind: str
    means: str
    next: str


def unreachable(error: Exception) -> BrokerIssue:
    """Nothing is known of it."""
    return BrokerIssue("broker-unreachable", str(error), "shop status")
