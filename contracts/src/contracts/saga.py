"""What is said of a saga as a whole: that it stands still."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.order import AboutOrder


class SagaNudged(AboutOrder):
    """The order's saga stands: whoever has said something of it that still holds says it again.

    An operator says it, or a service that has waited too long for what should have come. Each nudge is an
    event of its own, so it has a subject of its own.
    """

    type: ClassVar[str] = "saga.nudged"
    said_by: ClassVar[str] = "operator"

    nudge_id: Annotated[UUID, Field(description="This nudge; also the CloudEvents subject.")]

    @property
    def subject(self) -> UUID:
        return self.nudge_id
