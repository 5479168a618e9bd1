"""The steps of a rotation, each of which may be interrupted: the next run goes on from what the files have.

First the clients get the new password beside the old one, then the servers get the new one, then the clients
get it alone. Clients read the file for every new connection, so none is refused.
"""

from collections.abc import Callable, Iterable, Sequence

from shop.audit.trail import Audit, AuditedAction, operator
from shop.errors import ShopError
from shop.provision.databases import owner_of
from shop.secrets import Secrets, role_secret
from shop.targets import SERVICES, LocalTarget


def names(services: Sequence[str]) -> list[str]:
    """The passwords of these services, of all if none is given: each has two roles in the database and a user
    at the broker. Raises ShopError for an unknown service."""
    if unknown := sorted(set(services) - set(SERVICES)):
        raise ShopError(f"no service {', '.join(unknown)}: choose among {', '.join(SERVICES)}")
    return [
        name
        for service in services or SERVICES
        for name in (role_secret(service), role_secret(owner_of(service)), f"rabbitmq-{service}")
    ]


def begin(vault: Secrets, chosen: Iterable[str]) -> list[str]:
    """Give each of them a new password beside the old one. Returns those that had none yet."""
    return _changed(vault.begin_rotation, chosen)


def finish(vault: Secrets, chosen: Iterable[str]) -> list[str]:
    """Keep each one's new password alone, once the servers have it. Returns those that had another."""
    return _changed(vault.finish_rotation, chosen)


async def rotate(stack: LocalTarget, chosen: Sequence[str], why: str) -> None:
    """All three steps on a stack that runs, one rotation at a time. Raises ShopError if it does not run, or
    if a server does not accept the passwords: then clients have both until the next run."""
    with stack.exclusive():
        if not stack.is_running():
            raise ShopError("the shop is not running: `shop up` first, or pass the vault with --secrets")
        async with (
            Audit.opened(stack, operator()) as audit,
            audit.record(AuditedAction("secrets rotate", why, before={"passwords": chosen})),
        ):
            begin(stack.secrets, chosen)
            await stack.set_passwords()
            finish(stack.secrets, chosen)


def _changed(change: Callable[[str], bool], chosen: Iterable[str]) -> list[str]:
    return [name for name in chosen if change(name)]
