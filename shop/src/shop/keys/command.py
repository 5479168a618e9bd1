"""`shop keys`: the keys that sign access tokens, rotated while the shop is open."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shop.errors import ShopError
from shop.keys.ring import Ring, SigningKey, last_token_until, refuse_too_new
from shop.keys.rotation import rotating
from shop.machine import write
from shop.secrets import SIGNING_KEYS
from shop.targets import local_target
from shop.terminal import Commands, Json, Reason, print_json

app = Commands("Rotate the keys that sign access tokens.")

File = Annotated[
    Path | None, typer.Option("--file", help="Signing keys of a remote shop, instead of the stack's.")
]
Name = Annotated[str, typer.Argument(help="A kid or how it begins; `list` shows them.")]
_NEXT = "give the file to auth, which rereads it; render the gateway's file, and reload the gateway"


@app.command("list")
def list_keys(file: File = None, as_json: Json = False) -> None:
    """The signing key, the added one, and retired keys whose tokens are still valid."""
    ring = _read(file or local_target().secrets.path(SIGNING_KEYS))
    rows = [_row(ring, key) for key in ring.keys]
    if as_json:
        print_json(rows)
        return
    table = Table("kid", "does", "added (UTC)", "its tokens end (UTC)", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["kid"], row["does"], _shown(row["added_at"]), _shown(row["tokens_until"]))
    Console().print(table)


@app.command()
async def add(why: Reason = "rotation", file: File = None) -> None:
    """Add a new key: verifiers fetch it, nothing is signed with it yet."""
    if file is not None:
        key = SigningKey.made(int(time.time()))
        _write(file, _read(file).add(key))
        print(f"{key.kid} is added: {_NEXT}; then `shop keys use {key.kid}`")
        return
    async with rotating(local_target(), why) as rotation:
        key = await rotation.add()
    print(f"{key.kid} is added, and every verifier accepts it: continue with `shop keys use {key.kid}`")


@app.command()
async def use(name: Name, why: Reason = "rotation", file: File = None) -> None:
    """Sign with it from now on. Refused while a verifier might not accept its tokens."""
    if file is not None:
        ring, now = _read(file), int(time.time())
        key = ring.key(name)
        refuse_too_new(key, now)
        _write(file, ring.use(key, now))
        print(f"{key.kid} is used for signing as soon as auth has the file")
        return
    async with rotating(local_target(), why) as rotation:
        key = await rotation.use(name)
    print(f"{key.kid} signs; drop the previous key when its tokens have expired: see `shop keys list`")


@app.command()
async def drop(
    name: Name,
    why: Reason = "rotation",
    now: Annotated[bool, typer.Option("--now", help="Invalidate the tokens that it has signed.")] = False,
    file: File = None,
) -> None:
    """Remove a key. Refused for the signing key and, without --now, while its tokens are valid.

    With --now, for a stolen key: users with a token signed by it have to log in again, guests lose their
    carts.
    """
    if file is not None:
        ring = _read(file)
        key = ring.key(name)
        _write(file, ring.drop(key, int(time.time()), with_its_tokens=now))
        print(f"{key.kid} is dropped: {_NEXT}; services drop it within five minutes")
        return
    async with rotating(local_target(), why) as rotation:
        key = await rotation.drop(name, with_its_tokens=now)
    print(f"{key.kid} is dropped, and no verifier accepts it any more")


def _read(file: Path) -> Ring:
    try:
        return Ring.read(file.read_text())
    except OSError as error:
        raise ShopError(f"{file}: {error.strerror}") from error


def _write(file: Path, ring: Ring) -> None:
    """The file keeps its mode: its reader may be another user."""
    write(file, ring.text(), file.stat().st_mode & 0o777)


def _row(ring: Ring, key: SigningKey) -> dict[str, Any]:
    does = "signs" if key is ring.signer else "waits" if key is ring.waiting else "stays"
    added = key.added_at or None
    return {"kid": key.kid, "does": does, "added_at": added, "tokens_until": last_token_until(key)}


def _shown(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
