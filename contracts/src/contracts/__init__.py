"""The events that services exchange, and the types that they share.

Models grow by optional fields only; any other change needs a new version (see `contracts.schema`).
"""

from contracts.currency import CURRENCIES as CURRENCIES
from contracts.currency import Currency as Currency
from contracts.currency import ListedCurrency as ListedCurrency
from contracts.currency import Money as Money
from contracts.currency import format_amount as format_amount
from contracts.currency import format_amount_with_code as format_amount_with_code
from contracts.event import EVENTS as EVENTS
from contracts.event import Event as Event
from contracts.event import event_named as event_named
from contracts.order import CancelReason as CancelReason
from contracts.order import DeclineReason as DeclineReason
from contracts.order import Line as Line
from contracts.order import OrderAnonymised as OrderAnonymised
from contracts.order import OrderCancelled as OrderCancelled
from contracts.order import OrderCreated as OrderCreated
from contracts.order import OrderFulfilled as OrderFulfilled
from contracts.order import OrderPaid as OrderPaid
from contracts.order import OrderRefundSettled as OrderRefundSettled
from contracts.order import OrderReturned as OrderReturned
from contracts.order import SagaNudged as SagaNudged
from contracts.order import ShortLine as ShortLine
from contracts.order import StockRejected as StockRejected
from contracts.order import StockReleased as StockReleased
from contracts.order import StockReserved as StockReserved
from contracts.order import StockReturned as StockReturned
from contracts.payment import NOT_CONFIRMED as NOT_CONFIRMED
from contracts.payment import PaymentActionRequired as PaymentActionRequired
from contracts.payment import PaymentAuthorized as PaymentAuthorized
from contracts.payment import PaymentDeclined as PaymentDeclined
from contracts.payment import PaymentDisputed as PaymentDisputed
from contracts.payment import PaymentRefunded as PaymentRefunded
from contracts.payment import PaymentRefundedInPart as PaymentRefundedInPart
from contracts.payment import PaymentRefundFailed as PaymentRefundFailed
from contracts.payment import PaymentVoided as PaymentVoided
from contracts.text import SKU_LENGTH as SKU_LENGTH
from contracts.text import SKU_PATTERN as SKU_PATTERN
from contracts.text import MailAddress as MailAddress
from contracts.text import OneLine as OneLine
from contracts.text import Sku as Sku
from contracts.text import cleaned as cleaned
from contracts.text import is_sku as is_sku
from contracts.text import mail_address as mail_address
from contracts.user import CLAIM_PURPOSE as CLAIM_PURPOSE
from contracts.user import ConfirmationRequested as ConfirmationRequested
from contracts.user import GuestMerged as GuestMerged
from contracts.user import MailReason as MailReason
from contracts.user import MailResendRequested as MailResendRequested
from contracts.user import OrderClaim as OrderClaim
from contracts.user import PasswordChanged as PasswordChanged
from contracts.user import PasswordResetRequested as PasswordResetRequested
from contracts.user import UserDeleted as UserDeleted
from contracts.user import UserRegistered as UserRegistered
