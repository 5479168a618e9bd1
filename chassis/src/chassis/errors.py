"""What may go wrong below HTTP. `http.problems` says how a caller is told."""


class ChassisError(Exception):
    """The root of what the chassis raises below HTTP."""


class Unavailable(ChassisError):
    """Something that is needed does not answer now: try again after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: float = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class TokenRejected(ChassisError):
    """Another service does not accept the caller's token any more."""
