"""Idempotency keys as Stripe keeps them: the result of what was executed, replayed for 24 hours.

409 `idempotency_key_in_use` while the first request runs, 400 `idempotency_error` when the key comes back
with other parameters: https://docs.stripe.com/api/idempotent_requests.
"""

from collections import OrderedDict

from standins.sandbox.change import Change
from standins.sandbox.errors import Refusal

KEPT = 24 * 3600
LONGEST = 255


class Keys:
    def __init__(self) -> None:
        self._stored: OrderedDict[str, Change] = OrderedDict()
        self._running: dict[str, str] = {}

    def find(self, key: str, fingerprint: str, now: int) -> Change | None:
        """The stored result, or None when the request is the first. Raises Refusal for a clash."""
        if len(key) > LONGEST:
            raise Refusal(f"Idempotency-Key is too long: {len(key)} of at most {LONGEST} characters")
        self._forget_before(now - KEPT)
        stored = self._stored.get(key)
        first = stored.fingerprint if stored else self._running.get(key, fingerprint)
        if first != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refusal(message, kind="idempotency_error")
        if key in self._running:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): "
                f"{key}. Please try again later."
            )
            raise Refusal(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        return stored

    def start(self, key: str, fingerprint: str) -> None:
        self._running[key] = fingerprint

    def finish(self, key: str) -> None:
        self._running.pop(key, None)

    def store(self, key: str, change: Change) -> None:
        self._stored[key] = change

    def _forget_before(self, moment: int) -> None:
        """Results lie in the order they were stored, so the old ones are in front."""
        while self._stored:
            oldest = next(iter(self._stored))
            if self._stored[oldest].at > moment:
                return
            del self._stored[oldest]
