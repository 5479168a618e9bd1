"""Auth consumes no events; its API publishes events about accounts and guests."""

from chassis.saga.topology import Participant
from contracts import (
    ConfirmationRequested,
    GuestMerged,
    PasswordChanged,
    PasswordResetRequested,
    UserDeleted,
    UserRegistered,
)

participant = Participant(
    "auth",
    publishes=[
        UserRegistered,
        ConfirmationRequested,
        PasswordResetRequested,
        PasswordChanged,
        UserDeleted,
        GuestMerged,
    ],
)
