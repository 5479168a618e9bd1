"""The event about a saga as a whole: it is stuck."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.order import AboutOrder


class SagaNudged(AboutOrder):
    """The order's saga is stuck: services republish their events about it that are still true.

    Published by an operator, or by a service that has waited too long for an event. Each nudge has a subject
    of its own.
    """

    type: ClassVar[str] = "saga.nudged"
    publisher: ClassVar[str] = "operator"

    nudge_id: Annotated[UUID, Field(description="This nudge; also the CloudEvents subject.")]

    @property
    def subject(self) -> UUID:
        return self.nudge_id
