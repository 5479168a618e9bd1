"""Errors raised below the HTTP layer. `http.problems` maps them to responses."""


class ChassisError(Exception):
    """The base of all errors that the chassis raises below the HTTP layer."""


class Unavailable(ChassisError):
    """A required service or database does not answer; try again after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: float = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class TokenRejected(ChassisError):
    """Another service no longer accepts the caller's token."""
