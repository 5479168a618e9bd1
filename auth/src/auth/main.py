"""Auth: accounts, guests and tokens."""

from datetime import UTC, datetime, timedelta
from functools import partial

from fastapi import APIRouter

from auth import api, saga, store, token_api
from auth.logins import Logins
from auth.passwords import Passwords
from auth.registration import Registration
from auth.settings import Settings
from auth.throttle import Conflicts, Throttle
from auth.tokens import AccessTokens
from chassis.http.origin import Proxies
from chassis.messaging.sealed import Seal
from chassis.runtime.periodic import Periodic
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts


def build(settings: Settings, chassis: Chassis) -> Components:
    keys = settings.read_signing_keys()
    accounts = store.Accounts(chassis.engine)
    passwords = Passwords(threads=settings.hashing_threads, queue=settings.hashing_queue)
    attempts = Attempts(chassis.engine, settings.login_window_seconds)
    throttle = Throttle(attempts, settings.login_attempts, settings.login_attempts_per_address)
    logins = Logins(
        chassis.transactions,
        accounts,
        passwords,
        throttle,
        timedelta(seconds=settings.session_idle_seconds),
        timedelta(seconds=settings.session_seconds),
    )
    tokens = AccessTokens(
        keys,
        settings.token_issuer,
        settings.token_audience,
        settings.access_seconds,
        settings.guest_seconds,
    )
    seal = Seal.of(settings.contact_key)
    registrations = Attempts(chassis.engine, settings.registration_window_seconds)
    conflicts = Conflicts(registrations, settings.registration_conflicts)
    registration = Registration(chassis.transactions, accounts, passwords, seal, conflicts)
    guest_lifetime = timedelta(seconds=settings.guest_seconds)

    async def forget() -> None:
        await store.forget(chassis.engine, datetime.now(UTC), guest_lifetime)

    return Components(
        routers=[_starting_with_admin(settings, registration), api.router, token_api.router],
        provide=[
            accounts,
            keys,
            logins,
            registration,
            tokens,
            Proxies.of(settings.trusted_proxies),
        ],
        periodic=[Periodic("forget sessions", 600, forget), Periodic("forget attempts", 60, attempts.forget)],
        closing=[passwords.aclose],
    )


def _starting_with_admin(settings: Settings, registration: Registration) -> APIRouter:
    if settings.admin_email is None or settings.admin_password is None:
        return APIRouter()
    password = settings.admin_password.get_secret_value()
    return APIRouter(lifespan=partial(registration.admin_first, settings.admin_email, password))


service = Service(saga.participant, Settings, build, description=__doc__)
