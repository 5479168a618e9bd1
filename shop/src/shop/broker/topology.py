"""RabbitMQ's definitions with this stack's users in them, and how a change reaches an older node."""

import base64
import hashlib
import json
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
        "users": [
            user
            | {
                "password_hash": password_hash(password_of(user["name"]), user["name"]),
                "hashing_algorithm": _HASHING,
            }
            for user in users
        ],
        "permissions": [*definitions.get("permissions", []), *grants],
    }


def moved_to(vhost: str, definitions: Definitions) -> Definitions:
    """The same topology in another virtual host; global things (users) stay as they are."""

    def moved(entries: Iterable[Entry]) -> list[Entry]:
        return [entry | {"vhost": vhost} if "vhost" in entry else entry for entry in entries]

    lists = {kind: moved(entries) for kind, entries in definitions.items() if isinstance(entries, list)}
    return definitions | lists | {"vhosts": [{"name": vhost}]}


# The fields that identify an entry of each kind.
_IDENTITY = {
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
TAKEN_AWAY = ("bindings", "policies", "topic_permissions", "permissions", "users")


async def apply(broker: Management, new: Definitions, old: Definitions) -> None:
    """Take away what the older file had and the new one has not, then import the new one.

    Importing only adds and overwrites: a binding that is no longer registered would go on filling its queue.
    """
    for kind in TAKEN_AWAY:
        kept = {identity(kind, entry) for entry in new.get(kind, [])}
        for entry in old.get(kind, []):
            if identity(kind, entry) in kept:
                continue
            if kind == "bindings":
                await _unbind(broker, entry)
            else:
                # The API forgets all topic permissions of a user: the import sets the others again.
                names = (entry[field] for field in _IDENTITY[kind] if field != "exchange")
                await broker.delete(kind.replace("_", "-"), *names)
    await broker.post("definitions", body=new)


def identity(kind: str, entry: Entry) -> str:
    return json.dumps([entry.get(field) for field in _IDENTITY[kind]], sort_keys=True)


async def _unbind(broker: Management, binding: Entry) -> None:
    kind = binding["destination_type"][0]
    ends = ("bindings", binding["vhost"], "e", binding["source"], kind, binding["destination"])
    for bound in await broker.get(*ends):
        if identity("bindings", binding) == identity("bindings", bound):
            await broker.delete(*ends, bound["properties_key"])
