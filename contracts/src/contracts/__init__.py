"""The events that services exchange, and the types that they share.

Models grow by optional fields only; any other change needs a new version (see `contracts.schema`).
"""

from contracts.currency import (
    CURRENCIES,
    Currency,
    ListedCurrency,
    Money,
    format_amount,
    format_amount_with_code,
)
from contracts.event import EVENTS, Event, event_named
from contracts.operator import MailReason, MailResendRequested, SagaNudged
from contracts.order import (
    CancelReason,
    DeclineReason,
    Line,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
    ShortLine,
)
from contracts.payment import (
    NOT_CONFIRMED,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
)
from contracts.stock import StockRejected, StockReleased, StockReserved, StockReturned
from contracts.text import SKU_LENGTH, SKU_PATTERN, MailAddress, OneLine, Sku, cleaned, is_sku, mail_address
from contracts.user import CLAIM_PURPOSE, GuestMerged, OrderClaim, UserRegistered

__all__ = [
    "CLAIM_PURPOSE",
    "CURRENCIES",
    "EVENTS",
    "NOT_CONFIRMED",
    "SKU_LENGTH",
    "SKU_PATTERN",
    "CancelReason",
    "Currency",
    "DeclineReason",
    "Event",
    "GuestMerged",
    "Line",
    "ListedCurrency",
    "MailAddress",
    "MailReason",
    "MailResendRequested",
    "Money",
    "OneLine",
    "OrderCancelled",
    "OrderClaim",
    "OrderCreated",
    "OrderFulfilled",
    "OrderPaid",
    "OrderRefundSettled",
    "OrderReturned",
    "PaymentActionRequired",
    "PaymentAuthorized",
    "PaymentDeclined",
    "PaymentDisputed",
    "PaymentRefundFailed",
    "PaymentRefunded",
    "PaymentRefundedInPart",
    "PaymentVoided",
    "SagaNudged",
    "ShortLine",
    "Sku",
    "StockRejected",
    "StockReleased",
    "StockReserved",
    "StockReturned",
    "UserRegistered",
    "cleaned",
    "event_named",
    "format_amount",
    "format_amount_with_code",
    "is_sku",
    "mail_address",
]
