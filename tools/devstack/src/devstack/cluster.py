"""Several RabbitMQ nodes on one machine as one cluster, with a member of every queue on each node."""

import asyncio
import json

from shop.errors import ShopError
from shop.management import Management

JOIN_SECONDS = 60
_POLL_SECONDS = 0.5
_FOR_LOGIN = ("vhosts", "users", "permissions")


def configuration(first: str, *, is_first: bool) -> str:
    """Lines of rabbitmq.conf. The others join the first; nodes in a minority pause."""
    joining = (
        ""
        if is_first
        else f"cluster_formation.peer_discovery_backend = classic_config\n"
        f"cluster_formation.classic_config.nodes.1 = {first}\n"
    )
    return f"{joining}cluster_partition_handling = pause_minority\nqueue_leader_locator = balanced\n"


def users_only(definitions: str) -> str:
    """What a node may import at boot: a queue declared before the others join would have one member."""
    every = json.loads(definitions)
    return json.dumps({kind: every[kind] for kind in _FOR_LOGIN if kind in every})


async def until_joined(broker: Management, count: int) -> None:
    """Raises ShopError unless that many nodes run as one cluster."""
    for _ in range(int(JOIN_SECONDS / _POLL_SECONDS)):
        running = [node["name"] for node in await broker.get("nodes") if node["running"]]
        if len(running) == count:
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise ShopError(
        f"{count} nodes did not form one cluster, only {', '.join(running)}: see `shop logs rabbitmq-2`"
    )


async def check_members(broker: Management, count: int) -> None:
    """Raises ShopError when a quorum queue is not on every node."""
    for queue in await broker.get("queues"):
        members = queue.get("members", [])
        if queue.get("type") == "quorum" and len(members) != count:
            raise ShopError(f"queue {queue['name']} is on {len(members)} of {count} nodes")
