"""Auth: accounts, guests and tokens."""

from auth import api, jobs, saga, token_api
from auth.logins import LoginLimit, Logins
from auth.passwords import Passwords
from auth.registration import ConflictLimit, Registration
from auth.settings import Settings
from auth.store import Accounts
from auth.tokens import AccessTokens
from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts


def build(settings: Settings, chassis: Chassis) -> Components:
    keys = settings.read_signing_keys()
    accounts = Accounts(chassis.engine)
    passwords = Passwords(threads=settings.hashing_threads, queue=settings.hashing_queue)
    attempts = Attempts(chassis.engine, settings.login_window_seconds)
    conflicts = Attempts(chassis.engine, settings.registration_window_seconds)
    registration = Registration(
        chassis.transactions,
        accounts,
        passwords,
        Cipher.of(settings.contact_key),
        ConflictLimit(conflicts, settings.registration_conflicts),
    )
    logins = Logins(
        chassis.transactions,
        accounts,
        passwords,
        LoginLimit(attempts, settings.login_attempts, settings.login_attempts_per_address),
        settings.session_rules(),
    )
    tokens = AccessTokens(
        keys,
        settings.token_issuer,
        settings.token_audience,
        settings.access_seconds,
        settings.guest_seconds,
    )
    return Components(
        routers=[api.first_admin(settings, registration), api.router, token_api.router],
        provide=[accounts, keys, logins, registration, tokens, settings.trusted_proxies],
        jobs=jobs.periodic(settings, chassis.engine, attempts),
        closing=[passwords.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
