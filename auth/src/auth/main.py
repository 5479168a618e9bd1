"""Auth: accounts, guests and tokens."""

from auth import account_api, address_api, api, jobs, saga, token_api
from auth.account_deletion import AccountDeletion
from auth.address_book import AddressBook
from auth.authentication import Authentication, LoginLimit
from auth.confirmation import Confirmations
from auth.logins import Logins
from auth.mailed_tokens import MailedTokens, MailLimit
from auth.password_changes import PasswordChanges
from auth.passwords import Passwords
from auth.registration import ConflictLimit, Registration
from auth.settings import Settings
from auth.store import Accounts
from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis, Components, Service
from chassis.storage.attempts import Attempts


def build(settings: Settings, chassis: Chassis) -> Components:
    keys = settings.read_signing_keys()
    accounts = Accounts(chassis.engine)
    passwords = Passwords(threads=settings.hashing_threads, queue=settings.hashing_queue)
    cipher = Cipher.of(settings.contact_key)
    attempts = Attempts(chassis.engine, settings.login_window_seconds)
    conflicts = Attempts(chassis.engine, settings.registration_window_seconds)
    mails = Attempts(chassis.engine, settings.mail_window_seconds)
    mail_limit = MailLimit(mails, settings.mails_per_address, settings.mail_requests_per_network)
    resets = MailedTokens(accounts, cipher, "reset password", settings.reset_lifetime())
    confirming = MailedTokens(accounts, cipher, "confirm address", settings.confirmation_lifetime())
    limit = LoginLimit(attempts, settings.login_attempts, settings.login_attempts_per_address)
    authentication = Authentication(passwords, limit)
    transactions = chassis.transactions
    conflict_limit = ConflictLimit(conflicts, settings.registration_conflicts)
    registration = Registration(transactions, accounts, passwords, confirming, conflict_limit)
    logins = Logins(transactions, accounts, passwords, authentication, settings.session_rules())
    changes = PasswordChanges(transactions, accounts, passwords, authentication, resets, mail_limit)
    return Components(
        routers=[
            api.staff_accounts(settings, registration),
            *(module.router for module in (api, account_api, address_api, token_api)),
        ],
        provide=[
            accounts,
            keys,
            logins,
            registration,
            changes,
            Confirmations(transactions, confirming, mail_limit),
            AddressBook(transactions, accounts),
            AccountDeletion(transactions, accounts, authentication, cipher),
            settings.access_tokens(keys),
            settings.trusted_proxies,
        ],
        jobs=jobs.periodic(settings, chassis.engine, attempts),
        closing=[passwords.aclose],
    )


service = Service(saga.participant, Settings, build, description=__doc__)
