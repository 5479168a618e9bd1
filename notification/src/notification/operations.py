"""All that operators' tools may import of notification: what is imported here, and queries that only read."""

from notification.delivery import PutOff
from notification.domain import UNDELIVERABLE, Correspondence, refund_failure_id
from notification.saga import participant
from notification.tables import metadata  # maps Correspondence

# Which of these ended orders have no decision on the mail about their end: ids, statuses, the limit.
ORDERS_WITH_LOST_END = """
    SELECT id FROM unnest($1::uuid[], $2::text[]) AS ended (id, status)
    WHERE NOT EXISTS (SELECT FROM correspondence WHERE subject_id = id AND jsonb_exists(letters,
        CASE status WHEN 'paid' THEN 'receipt' ELSE 'cancellation' END))
    ORDER BY id LIMIT $3"""

# Which of these orders' cancellation mails are withheld until money is known to have been held: ids.
WITHHELD = """
    SELECT subject_id FROM correspondence
    WHERE subject_id = ANY($1::uuid[]) AND letters->>'cancellation' = 'withheld'"""

# Which of these refunds have no mail: ids, the limit.
WITHOUT_MAIL = """
    SELECT id FROM unnest($1::uuid[]) AS refunded (id)
    WHERE NOT EXISTS (SELECT FROM correspondence WHERE subject_id = id) ORDER BY id LIMIT $2"""

# Mails that only an operator can send again: fates, one order or NULL, the limit. A mail about a partial
# refund names its order in the payload.
UNDELIVERABLE_MAILS = """
    SELECT reason, subject_id, fate, why, at, jsonb_array_length(resends),
        (payload->>'order_id')::uuid FROM kept_mail
    WHERE fate = ANY($1::text[]) AND ($2::uuid IS NULL OR $2 IN (subject_id, (payload->>'order_id')::uuid))
    ORDER BY at LIMIT $3"""

# Mails that wait for their recipient's hourly limit, with the same columns: the limit.
PUT_OFF_MAILS = f"""
    SELECT kind, subject, 'put_off', error, created_at, 0, (payload->>'order_id')::uuid
    FROM intent WHERE error LIKE '{PutOff.__name__}: %' ORDER BY created_at LIMIT $1"""  # noqa: S608

KEPT_MAILS = """
    SELECT subject_id::text, reason, fate, why, jsonb_array_length(resends)
    FROM kept_mail WHERE fate <> 'withheld'"""
FATES_OF_MAILS = "SELECT subject_id::text, letters FROM correspondence"


def is_put_off(error: str | None) -> bool:
    """Whether a mail whose last attempt failed so waits for its recipient's hourly limit."""
    return (error or "").startswith(f"{PutOff.__name__}: ")
