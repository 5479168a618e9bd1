"""Publishing an operator's own event, with the operator's login, confirmed by the broker."""

import asyncio

import aio_pika

from chassis.messaging.broker import login
from chassis.messaging.envelope import Envelope
from chassis.saga.topology import EVENTS_EXCHANGE
from shop.dead_letters.deliveries import BROKER_ERRORS
from shop.errors import ShopError
from shop.targets import Target

SECONDS = 10


async def publish(target: Target, message: Envelope, what: str) -> None:
    """Publish it to the events exchange. Raises ShopError, which calls it `what`, if the broker does not
    confirm it or has no queue for it."""
    url = target.operator_amqp_url
    try:
        async with (
            asyncio.timeout(SECONDS),
            await aio_pika.connect(url, timeout=SECONDS) as connection,
            connection.channel(publisher_confirms=True, on_return_raises=True) as channel,
        ):
            exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
            await exchange.publish(message.to_message(login(url)), message.type, mandatory=True)
    except BROKER_ERRORS as error:
        raise ShopError(f"the broker did not accept the {what} ({error!r}): see `shop status`") from error
