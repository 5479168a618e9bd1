"""Faults of the next messages; a fault can be tied to a recipient, and so to one order."""

from dataclasses import dataclass

KINDS = ("defer", "reject", "disconnect", "accept_then_disconnect", "slow")


@dataclass(slots=True)
class Fault:
    """`defer` answers 451 and `reject` 550 to a whole message, `disconnect` hangs up on it, and
    `accept_then_disconnect` keeps it and hangs up without saying so, and `slow` keeps it and says so after
    `seconds`. Met by the next `count` messages to an address with `recipient` in it."""

    kind: str
    count: int = 1
    recipient: str = ""
    seconds: float = 0.0


class Faults:
    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def meet(self, recipients: list[str]) -> Fault | None:
        """The fault that this message meets; its count goes down."""
        for fault in self.planned:
            if any(fault.recipient in recipient for recipient in recipients):
                fault.count -= 1
                if fault.count == 0:
                    self.planned.remove(fault)
                return fault
        return None
