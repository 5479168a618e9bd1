"""Auth: accounts, guests and tokens."""

from datetime import timedelta
from functools import partial

from fastapi import APIRouter

from auth import api, jobs, saga, token_api
from auth.logins import Logins
from auth.passwords import Passwords
from auth.registration import Registration
from auth.settings import Settings
from auth.store import Accounts
from auth.throttle import ConflictLimit, LoginLimit
from auth.tokens import AccessTokens
from chassis.http.origin import Proxies
from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts


def build(settings: Settings, chassis: Chassis) -> Components:
    keys = settings.read_signing_keys()
    accounts = Accounts(chassis.engine)
    passwords = Passwords(threads=settings.hashing_threads, queue=settings.hashing_queue)
    attempts = Attempts(chassis.engine, settings.login_window_seconds)
    login_limit = LoginLimit(attempts, settings.login_attempts, settings.login_attempts_per_address)
    logins = Logins(
        chassis.transactions,
        accounts,
        passwords,
        login_limit,
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
    cipher = Cipher.of(settings.contact_key)
    registrations = Attempts(chassis.engine, settings.registration_window_seconds)
    conflicts = ConflictLimit(registrations, settings.registration_conflicts)
    registration = Registration(chassis.transactions, accounts, passwords, cipher, conflicts)
    return Components(
        routers=[_create_admin_at_start(settings, registration), api.router, token_api.router],
        provide=[
            accounts,
            keys,
            logins,
            registration,
            tokens,
            Proxies.of(settings.trusted_proxies),
        ],
        jobs=jobs.periodic(chassis.engine, attempts, timedelta(seconds=settings.guest_seconds)),
        closing=[passwords.aclose],
    )


def _create_admin_at_start(settings: Settings, registration: Registration) -> APIRouter:
    if settings.admin_email is None or settings.admin_password is None:
        return APIRouter()
    password = settings.admin_password.get_secret_value()
    return APIRouter(lifespan=partial(registration.admin_lifespan, settings.admin_email, password))


service = Service(saga.participant, Settings, build, description=__doc__)
