"""The participants of the saga, from which topology and documents are generated."""

from auth.saga import participant as auth
from cart.saga import participant as cart
from chassis.saga.topology import Participant
from notification.saga import participant as notification
from order.saga import participant as order
from payment.saga import participant as payment
from product.saga import participant as product

PARTICIPANTS: tuple[Participant, ...] = (order, product, payment, cart, notification, auth)
