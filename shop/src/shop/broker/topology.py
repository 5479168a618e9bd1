"""RabbitMQ's definitions with this stack's users in them, and how a change reaches an older node."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from shop.http import Management

Definitions = dict[str, Any]
Entry = dict[str, Any]

_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
_HASHING = "rabbit_password_hashing_sha256"


def password_hash(password: str, user: str) -> str:
    """base64(salt + sha256(salt + password)); the salt is derived: same secrets, same file."""
    salt = hashlib.sha256(f"{user}\0{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def render(definitions: Definitions, operator: str, password_of: Callable[[str], str]) -> Definitions:
    """The definitions with every user's password hash and an administrator who may do everything."""
    vhosts = definitions.get("vhosts") or [{"name": "/"}]
    users = [*definitions.get("users", []), {"name": operator, "tags": ["administrator"]}]
    grants = [{"user": operator, "vhost": vhost["name"], **_EVERYTHING} for vhost in vhosts]
    return definitions | {
        "vhosts": vhosts,
        "users": [user | _password(user["name"], password_of(user["name"])) for user in users],
        "permissions": [*definitions.get("permissions", []), *grants],
    }


def _password(user: str, password: str) -> Entry:
    return {"password_hash": password_hash(password, user), "hashing_algorithm": _HASHING}


def moved_to(vhost: str, definitions: Definitions) -> Definitions:
    """The same topology in another virtual host; global things (users) stay as they are."""

    def moved(entries: Iterable[Entry]) -> list[Entry]:
        return [entry | {"vhost": vhost} if "vhost" in entry else entry for entry in entries]

    lists = {kind: moved(entries) for kind, entries in definitions.items() if isinstance(entries, list)}
    return definitions | lists | {"vhosts": [{"name": vhost}]}


# The fields that identify an entry.
IDENTITY = {
    "bindings": ("vhost", "source", "destination", "destination_type", "routing_key", "arguments"),
    "policies": ("vhost", "name"),
    "topic_permissions": ("vhost", "user", "exchange"),
    "permissions": ("vhost", "user"),
    "users": ("name",),
    "queues": ("vhost", "name"),
    "exchanges": ("vhost", "name"),
}
# Queues and exchanges are missing on purpose: what a renamed service left behind may still hold messages, and
# without a binding it gets no new ones.
_TAKEN_AWAY = ("bindings", "policies", "topic_permissions", "permissions", "users")


async def apply(broker: Management, new: Definitions, old: Definitions) -> None:
    """Take away what the older file had and the new one has not, then import the new one.

    Importing only adds and overwrites: a binding that is no longer registered would go on filling its queue.
    """
    for kind in _TAKEN_AWAY:
        kept = new.get(kind, [])
        for entry in old.get(kind, []):
            if not any(_same(kind, entry, other) for other in kept):
                await _remove(broker, kind, entry)
    await broker.post("definitions", body=new)


def _same(kind: str, one: Entry, other: Entry) -> bool:
    return all(one.get(key) == other.get(key) for key in IDENTITY[kind])


async def _remove(broker: Management, kind: str, entry: Entry) -> None:
    match kind:
        case "bindings":
            await _unbind(broker, entry)
        case "topic_permissions":
            # The API forgets all of a user's entries at once; the import that follows sets the others again.
            await broker.delete("topic-permissions", entry["vhost"], entry["user"])
        case "permissions":
            await broker.delete("permissions", entry["vhost"], entry["user"])
        case "users":
            await broker.delete("users", entry["name"])
        case "policies":
            await broker.delete("policies", entry["vhost"], entry["name"])


async def _unbind(broker: Management, binding: Entry) -> None:
    kind = binding["destination_type"][0]
    ends = ("bindings", binding["vhost"], "e", binding["source"], kind, binding["destination"])
    for bound in await broker.get(*ends):
        if _same("bindings", binding, bound):
            await broker.delete(*ends, bound["properties_key"])
