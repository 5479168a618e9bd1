"""Payment: authorizes, captures, voids and refunds an order's money through the payment provider."""

from datetime import timedelta

from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from payment import saga, webhooks
from payment.jobs import jobs
from payment.reconciliation import Comparison
from payment.settings import Settings
from payment.store import Known
from payment.stripe_client import StripeClient
from payment.webhooks import Hints, Webhooks


def build(settings: Settings, chassis: Chassis) -> Components:
    client = StripeClient(
        settings.stripe_api_key.get_secret_value(),
        base=settings.stripe_api_base,
        timeout=settings.stripe_timeout,
        failures=settings.breaker_failures,
        reset=settings.breaker_reset,
        cipher=Cipher.of(settings.action_key).encrypt,
        action_time=timedelta(minutes=settings.action_minutes),
    )
    hints = Hints(chassis.transactions, settings.webhook_linger)
    secret = settings.stripe_webhook_secret.get_secret_value()
    return Components(
        routers=[webhooks.router],
        provide=[Webhooks(hints, secret, settings.webhook_tolerance)],
        jobs=jobs(settings, chassis.transactions),
        call=Comparison(client.call, Known(chassis.engine)).call,
        issues=client.issues,
        closing=[hints.aclose, client.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
