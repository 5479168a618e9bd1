"""Payment: holds, takes and gives back an order's money, and says what became of it."""

from datetime import timedelta

from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from payment import api, saga, sweeps
from payment.comparing import Comparing
from payment.hints import Hints
from payment.provider import Provider
from payment.settings import Settings
from payment.store import Known


def build(settings: Settings, chassis: Chassis) -> Components:
    provider = Provider(
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
        routers=[api.router],
        provide=[api.Webhooks(hints, secret, settings.webhook_tolerance)],
        jobs=sweeps.periodic(settings, chassis.transactions),
        call=Comparing(provider.call, Known(chassis.engine)).call,
        issues=provider.issues,
        closing=[hints.aclose, provider.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
