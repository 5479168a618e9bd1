"""Payment: authorizes, captures, voids and refunds an order's money through the payment provider."""

from functools import partial

from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from payment import jobs, reconciliation, saga, webhooks
from payment.settings import Settings
from payment.store import Known
from payment.stripe_client import StripeClient
from payment.webhooks import Webhooks


def build(settings: Settings, chassis: Chassis) -> Components:
    client = StripeClient(settings, Cipher.of(settings.action_key).encrypt)
    hooks = Webhooks(settings, chassis.transactions)
    return Components(
        routers=[webhooks.router],
        provide=[hooks],
        jobs=jobs.periodic(settings, chassis.transactions),
        call=partial(reconciliation.call, client.call, Known(chassis.engine)),
        issues=client.issues,
        closing=[hooks.aclose, client.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
