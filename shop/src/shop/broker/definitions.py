"""The live broker compared with its definitions: pure functions of two definitions documents.

The live one is what the management API exports: the durable things of every virtual host. Queues and
exchanges that the definitions do not have are left alone: what a renamed service left behind may hold
messages. A binding to such a queue is named, since it goes on filling it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shop.broker.topology import TAKEN_AWAY, Definitions, Entry, identity

# What is compared of an entry; everything that is not listed belongs to the broker, or is secret.
_FIELDS = {
    "users": ("tags", "limits"),
    "permissions": ("configure", "write", "read"),
    "topic_permissions": ("write", "read"),
    "exchanges": ("type", "durable", "auto_delete", "internal", "arguments"),
    "queues": ("durable", "auto_delete", "arguments"),
    "bindings": (),
    "policies": ("pattern", "apply-to", "definition", "priority"),
}


@dataclass(frozen=True)
class Difference:
    """`kind` is a list of the definitions (`bindings`), `name` says which entry."""

    kind: str
    name: str
    what: str

    def __str__(self) -> str:
        thing = self.kind.removesuffix("s").replace("_", " ").replace("policie", "policy")
        return f"{thing} {self.name} is {self.what}"


def differences(declared: Definitions, live: Definitions, *, operator: str) -> list[Difference]:
    """How `live` departs from `declared`, within the virtual hosts that are declared.

    The operator's own login, which the definitions do not have, is no difference. Nor is another user, unless
    it is an administrator or may do something in these virtual hosts.
    """
    return [found for kind in _FIELDS for found in _of_kind(kind, declared, live, operator)]


def with_live_passwords(declared: Definitions, live: Definitions) -> Definitions:
    """The definitions with every user's password as the broker has it. Raises LookupError with the names of
    those that it does not have."""
    users = {user["name"]: user for user in live.get("users", [])}
    if gone := [user["name"] for user in declared.get("users", []) if user["name"] not in users]:
        raise LookupError(", ".join(gone))
    kept = ("password_hash", "hashing_algorithm")
    ours = [
        user | {field: users[user["name"]][field] for field in kept} for user in declared.get("users", [])
    ]
    return declared | {"users": ours}


def surplus(declared: Definitions, live: Definitions, *, operator: str) -> Definitions:
    """What of `live` is a difference because the definitions do not have it."""
    return {kind: list(_unknown(kind, declared, live, operator)) for kind in _FIELDS}


def _unknown(kind: str, declared: Definitions, live: Definitions, operator: str) -> Iterator[Entry]:
    wanted = {identity(kind, entry) for entry in declared.get(kind, [])}
    for entry in _compared(kind, declared, live, operator):
        if identity(kind, entry) not in wanted and _counts(kind, entry):
            yield entry


def _compared(kind: str, declared: Definitions, live: Definitions, operator: str) -> Iterator[Entry]:
    vhosts = {vhost["name"] for vhost in declared.get("vhosts", [])}
    for entry in live.get(kind, []):
        user = entry.get("name") if kind == "users" else entry.get("user")
        if user != operator and entry.get("vhost") in vhosts | {None}:
            yield entry


def _of_kind(kind: str, declared: Definitions, live: Definitions, operator: str) -> Iterator[Difference]:
    there = {identity(kind, entry): entry for entry in _compared(kind, declared, live, operator)}
    for entry in declared.get(kind, []):
        found = there.get(identity(kind, entry))
        if found is None:
            yield Difference(kind, _name(kind, entry), "missing")
        elif detail := _detail(kind, entry, found):
            yield Difference(kind, _name(kind, entry), f"different: {detail}")
    for entry in _unknown(kind, declared, live, operator):
        yield Difference(kind, _name(kind, entry), "not in the definitions")


def _detail(kind: str, wanted: Entry, there: Entry) -> str:
    return "; ".join(
        f"{field} is {there.get(field)!r}, not {wanted.get(field)!r}"
        for field in _FIELDS[kind]
        if _plain(field, there.get(field)) != _plain(field, wanted.get(field))
    )


def _plain(field: str, value: Any) -> Any:
    """Tags were a text with commas, and are a list; no limits are an empty object, or none."""
    if field == "tags" and isinstance(value, str):
        value = [tag for tag in value.split(",") if tag]
    if field == "tags":
        return sorted(value or [])
    return value or None if isinstance(value, dict) else value


def _counts(kind: str, entry: Entry) -> bool:
    """Whether one more of them changes what anybody may do or what reaches whom."""
    if kind == "users":
        return "administrator" in _plain("tags", entry.get("tags"))
    return kind in TAKEN_AWAY


def _name(kind: str, entry: Entry) -> str:
    match kind:
        case "bindings":
            return f"{entry['source']} → {entry['destination']} for {entry['routing_key'] or 'no key'}"
        case "permissions":
            return f"of {entry['user']}"
        case "topic_permissions":
            return f"of {entry['user']} on {entry['exchange']}"
    return str(entry["name"])
