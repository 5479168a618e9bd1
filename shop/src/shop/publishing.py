"""Publishing an operator's own event, confirmed, under the operator's login."""

import asyncio

import aio_pika

from chassis.messaging.broker import login
from chassis.messaging.envelope import Envelope
from chassis.saga.topology import EVENTS_EXCHANGE
from shop.dead_letters.deliveries import BROKER_ERRORS
from shop.errors import ShopError
from shop.targets import Target

SECONDS = 10


async def publish(target: Target, said: Envelope, what: str) -> None:
    """Publish it to all who hear it. Raises ShopError, which calls it `what`, when the broker does not
    confirm it, or has no queue for it."""
    url = target.operator_amqp_url
    try:
        async with (
            asyncio.timeout(SECONDS),
            await aio_pika.connect(url, timeout=SECONDS) as connection,
            connection.channel(publisher_confirms=True, on_return_raises=True) as channel,
        ):
            exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
            await exchange.publish(said.to_message(login(url)), said.type, mandatory=True)
    except BROKER_ERRORS as error:
        raise ShopError(f"the broker did not take the {what} ({error!r}): see `shop status`") from error
