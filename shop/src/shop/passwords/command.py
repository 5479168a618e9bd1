"""`shop secrets`: the services' passwords for PostgreSQL and RabbitMQ, rotated while the shop is open."""

from typing import Annotated

import typer

from shop.passwords import rotation
from shop.provision.command import Vault
from shop.secrets import Secrets
from shop.targets import local_target
from shop.terminal import Commands, Reason

app = Commands("Rotate the services' passwords for PostgreSQL and RabbitMQ.")

Services = Annotated[
    list[str] | None, typer.Argument(metavar="SERVICE", help="Only theirs; all if none is given.")
]


@app.command()
async def rotate(services: Services = None, why: Reason = "rotation") -> None:
    """Replace the passwords of this machine's stack. If it is interrupted, run it again."""
    names = rotation.names(services or [])
    await rotation.rotate(local_target(), names, why)
    print(f"{len(names)} passwords rotated; open connections go on, and no new one takes an old password")


@app.command()
def begin(secrets: Vault, services: Services = None) -> None:
    """First step elsewhere: put a new password before the old one in each file."""
    names = rotation.names(services or [])
    begun = rotation.begin(Secrets(secrets), names)
    print(f"{len(begun)} of {len(names)} passwords have got a successor, the others had one")
    print("give readers both, run `provision databases` and `provision broker`, and then `secrets finish`")


@app.command()
def finish(secrets: Vault, services: Services = None) -> None:
    """Last step elsewhere, when the servers have the new passwords: keep these alone."""
    names = rotation.names(services or [])
    finished = rotation.finish(Secrets(secrets), names)
    print(f"{len(finished)} of {len(names)} old passwords are dropped: give readers the new ones alone")
