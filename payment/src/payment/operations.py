"""All that operators' tools may import of payment: what is imported here, and queries that only read."""

from collections.abc import Iterable

from chassis.saga.intents import OutcomePending
from contracts import Event
from payment.bounces import MAX_REPEATS, refund_id_of
from payment.disputes import NEED_ANSWER, Dispute, dispute_id_of
from payment.domain import AMOUNT_MISMATCH, Payment
from payment.lookups import Stray, uuid_of
from payment.reconciliation import LISTS
from payment.refunds import MORE_THAN_IS_LEFT, Refund, refunded_in_part
from payment.saga import participant
from payment.stripe_answers import RequestRefused
from payment.stripe_requests import LIST
from payment.tables import IS_OPEN, REFUND_IS_OPEN

GAVE_BACK = ("voided", "refunded")
"""States of a payment in which payment has published that money, held or taken, was given back."""

# Orders with an open payment or partial refund: the limit of each.
OPEN_ORDERS = f"""
    (SELECT order_id FROM payment WHERE {IS_OPEN} ORDER BY created_at LIMIT $1) UNION ALL
    (SELECT order_id FROM refund WHERE {REFUND_IS_OPEN} ORDER BY created_at LIMIT $1)"""  # noqa: S608

# Which of these orders had their money given back: ids, `GAVE_BACK`, the limit.
GIVEN_BACK = """
    SELECT order_id FROM payment WHERE order_id = ANY($1::uuid[]) AND state = ANY($2::text[])
    ORDER BY order_id LIMIT $3"""

# The newest partial refunds that were made, each with its order: since when, the limit.
REFUNDS_MADE = """
    SELECT refund_id, order_id FROM refund WHERE state = 'refunded' AND created_at > $1
    ORDER BY created_at DESC LIMIT $2"""

# Refunds that failed after they were made, each by the id of the first of its chain, as order knows it: one
# order or NULL, the limit.
BOUNCED_REFUNDS = """
    WITH RECURSIVE made (refund_id, first_id, again_of) AS (
        SELECT refund_id, refund_id, again_of FROM refund
        WHERE state = 'bounced' AND ($1::uuid IS NULL OR order_id = $1)
        UNION ALL
        SELECT made.refund_id, refund.refund_id, refund.again_of
        FROM made JOIN refund ON refund.refund_id = made.again_of)
    SELECT first_id, order_id, amount, code, refused, created_at FROM made JOIN refund USING (refund_id)
    WHERE made.again_of IS NULL ORDER BY created_at LIMIT $2"""

# The fields of `Dispute`: `NEED_ANSWER`, one order or NULL, the limit.
DISPUTES_TO_ANSWER = """
    SELECT dispute_id, order_id, provider_id, amount, currency, reason, status, due_by, noted_at FROM dispute
    WHERE status = ANY($1::text[]) AND ($2::uuid IS NULL OR order_id = $2) ORDER BY due_by LIMIT $3"""

# The fields of `Stray`: one order as text or NULL, the limit.
OPEN_STRAYS = """
    SELECT payment_id, order_id, amount, currency, created_at, seen_at FROM stray
    WHERE settled_at IS NULL AND ($1::text IS NULL OR order_id = $1) ORDER BY created_at LIMIT $2"""

PAYMENT_STATES = "SELECT order_id::text, state FROM payment"
REFUND_STATES = "SELECT refund_id::text, state FROM refund"
DISPUTE_STATUSES = "SELECT provider_id, status FROM dispute"
IN_PROGRESS_COUNT = """
    SELECT (SELECT count(*) FROM payment WHERE state IN ('authorizing', 'capturing', 'voiding', 'refunding'))
        + (SELECT count(*) FROM refund WHERE state = 'refunding')"""

# Calls that may be open for long: a shopper has to confirm, or the provider's lists are read again. What the
# lists show is looked up by calls that count.
WAITING_CALL_COUNT = f"""
    SELECT count(*) FROM intent WHERE error LIKE '{OutcomePending.__name__}: %'
        OR kind = '{LIST}' AND error IS NULL"""  # noqa: S608


def events_to_republish(payment: Payment, refunds: Iterable[Refund]) -> list[Event]:
    """What payment publishes again when the saga is nudged; `refunds` are the payment's partial ones."""
    partial = (refunded_in_part(payment, one) for one in refunds if one.state == "refunded")
    return [*payment.events_to_republish(), *partial]


def is_request_refused(error: str | None) -> bool:
    """Whether a call whose last attempt failed so was refused for a fault of the shop, not of the shopper."""
    return (error or "").startswith(f"{RequestRefused.__name__}: ")
