"""Refusals in Stripe's shape, so that the official SDK raises the error that the real provider would."""

from typing import Any

INVALID = "invalid_request_error"
DOCS = "https://docs.stripe.com/error-codes/"


class Refusal(Exception):
    """A request that the provider turns down.

    `executed` distinguishes a refusal by the payment's state (stored under the idempotency key, like a
    success) from a validation failure, which must leave the key free:
    https://docs.stripe.com/api/idempotent_requests.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.error = error(message, kind=kind, code=code, param=param)


def error(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The inside of `{"error": …}`; keys without a value are left out, as Stripe does."""
    body: dict[str, Any] = {"message": message, "type": kind}
    if code:
        body |= {"code": code, "doc_url": DOCS + code.replace("_", "-")}
    if param:
        body["param"] = param
    return body


def missing(kind: str, name: str, param: str) -> Refusal:
    return Refusal(f"No such {kind}: '{name}'", status=404, code="resource_missing", param=param)


def unexpected_state(message: str) -> Refusal:
    return Refusal(message, code="payment_intent_unexpected_state", executed=True)
