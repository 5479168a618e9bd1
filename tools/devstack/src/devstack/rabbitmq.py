"""RabbitMQ nodes of our own, alone or as one cluster, from the installed package's scripts; the system's
broker is not touched."""

import asyncio
import hashlib
import json
import os
import shutil
from http import HTTPStatus
from pathlib import Path

import httpx

from devstack.program import status_of
from devstack.stack import HOST, Stack
from shop.broker import topology
from shop.broker.definitions import differences, surplus
from shop.errors import ShopError
from shop.http import Management
from shop.machine import last_line, run, write
from shop.targets import OPERATOR

_SCRIPTS = (  # below /
    "usr/lib/rabbitmq/bin",
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "opt/rabbitmq/sbin",
    "opt/homebrew/opt/rabbitmq/sbin",
    "usr/local/opt/rabbitmq/sbin",
)
# Two schedulers that sleep when there is nothing to do, and no port for the network.
_ERLANG = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
FIRST = "rabbitmq"
# Nodes in a minority pause. All join the first.
_CLUSTER = "cluster_partition_handling = pause_minority\nqueue_leader_locator = balanced\n"
_JOINING = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = {}
"""
_CONTROL_SECONDS = 20
_JOIN_SECONDS = 60
_POLL_SECONDS = 0.5
MEMORY_WATERMARK = 0.4  # ours, and what RabbitMQ 3 does by itself
_MISSING = "RabbitMQ is not installed: install it with `sudo apt-get install -y rabbitmq-server`"


def server_script() -> Path:
    """The package's own start script. Raises ShopError, saying how to install it, when there is none."""
    for pattern in _SCRIPTS:
        for script in sorted(Path("/").glob(f"{pattern}/rabbitmq-server"), reverse=True):
            if os.access(script, os.X_OK) and shutil.which("erl"):
                return script
    raise ShopError(_MISSING)


def node_name(stack: Stack, node: str = FIRST) -> str:
    """Unique on this machine, so that several stacks share one epmd."""
    stack_hash = hashlib.sha256(str(stack.folder).encode()).hexdigest()[:10]
    return f"saga-{stack_hash}{_number(node)}@localhost"


def port_name(kind: str, node: str) -> str:
    """The name of a node's port of a kind: `amqp`, `distribution`, `management`."""
    return f"{kind}{_number(node)}"


def _number(node: str) -> str:
    return node.removeprefix(FIRST)


def environment(stack: Stack, node: str = FIRST) -> dict[str, str]:
    home = stack.layout.node(node)
    absent = str(home / "none")  # every file of /etc/rabbitmq that could change this node is pointed away
    return {
        "HOME": str(home),
        "RABBITMQ_NODENAME": node_name(stack, node),
        "RABBITMQ_NODE_PORT": str(stack.ports[port_name("amqp", node)]),
        "RABBITMQ_DIST_PORT": str(stack.ports[port_name("distribution", node)]),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": absent,
        "RABBITMQ_ADVANCED_CONFIG_FILE": absent,
        "RABBITMQ_CONF_ENV_FILE": absent,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server instead of waiting for it
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_CRASH_DUMP": str(home / "log" / "erl_crash.dump"),
    }


def _configuration(stack: Stack, node: str) -> str:
    return f"""\
listeners.tcp.1 = {HOST}:{stack.ports[port_name("amqp", node)]}
management.tcp.ip = {HOST}
management.tcp.port = {stack.ports[port_name("management", node)]}
definitions.import_backend = local_filesystem
definitions.local.path = {_definitions(stack, node)}
definitions.skip_if_unchanged = true
raft.wal_max_size_bytes = 67108864
collect_statistics_interval = 10000
vm_memory_high_watermark.relative = {MEMORY_WATERMARK}
log.console = true
log.console.level = info
log.file = false
{_CLUSTER if stack.brokers > 1 else ""}{_JOINING.format(node_name(stack)) if node != FIRST else ""}"""


def prepare(stack: Stack, node: str = FIRST) -> None:
    home = stack.layout.node(node)
    for folder in (home / "data", home / "log"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(home / ".erlang.cookie", stack.secret("erlang-cookie"), mode=0o400)
    write(home / "enabled_plugins", "[rabbitmq_management].\n")
    write(home / "rabbitmq.conf", _configuration(stack, node))
    at_boot = _rendered(stack)
    if stack.brokers > 1:  # a queue declared before the others join would have one member
        users = ("vhosts", "users", "permissions")
        at_boot = {kind: entries for kind, entries in at_boot.items() if kind in users}
    write(_definitions(stack, node), json.dumps(at_boot, indent=1))


def management(stack: Stack, node: str = FIRST) -> Management:
    url = stack.http(port_name("management", node))
    return Management(url, OPERATOR, stack.secrets.password(f"rabbitmq-{OPERATOR}"))


async def is_ready(stack: Stack, node: str = FIRST) -> bool:
    """Whether clients can connect: the API answers some time before the AMQP listener does."""
    path = f"/api/health/checks/port-listener/{stack.ports[port_name('amqp', node)]}"
    user = (OPERATOR, stack.secrets.password(f"rabbitmq-{OPERATOR}"))
    return await status_of(stack.ports[port_name("management", node)], path, user) == HTTPStatus.OK


async def set_memory_watermark(stack: Stack, node: str, share: float) -> None:
    """The share of the machine's memory above which a node blocks publishers. Raises ShopError."""
    control = str(server_script().with_name("rabbitmqctl"))
    command = [control, "-q", "-n", node_name(stack, node), "set_vm_memory_high_watermark", str(share)]
    env = {"PATH": os.environ["PATH"], **environment(stack, node)}
    code, output = await run(command, "rabbitmqctl", _CONTROL_SECONDS, env)
    if code:
        raise ShopError(f"rabbitmqctl exited with {code}: {last_line(output)}")


def is_formed(stack: Stack) -> bool:
    """Whether this broker has been up before, with all its nodes."""
    return _imported(stack).exists()


async def settle(stack: Stack, _: frozenset[str]) -> None:
    """A fresh node has just imported the file; an older one is brought to it when the file or the broker has
    changed. A fresh cluster is given it now that all nodes are there, for queues to have a member on each."""
    imported, new = _imported(stack), _rendered(stack)
    if stack.brokers > 1 and not imported.exists():
        async with management(stack) as broker:
            await _until_joined(broker, stack.brokers)
            await broker.post("definitions", body=new)
            await check_members(broker, stack.brokers)
    if imported.exists():
        try:
            async with management(stack) as broker:
                await _bring_to(broker, stack, new, json.loads(imported.read_text()))
        except (ShopError, httpx.HTTPError) as error:
            raise ShopError(
                f"the new topology does not fit this broker; `shop down --purge` removes it ({error})"
            ) from error
    if stack.brokers == 1:
        write(_definitions(stack, FIRST), json.dumps(new, indent=1))
    write(imported, json.dumps(new, indent=1))


async def set_passwords(stack: Stack) -> None:
    """Bring the users to the secrets' passwords. Raises ShopError if the broker does not accept them."""
    users = {"users": _rendered(stack)["users"]}
    try:
        async with management(stack) as broker:
            await broker.post("definitions", body=users)
    except (ShopError, httpx.HTTPError) as error:
        raise ShopError(f"RabbitMQ did not accept the passwords: {error or type(error).__name__}") from error
    for file in (*(_definitions(stack, node) for node in stack.nodes), _imported(stack)):
        write(file, json.dumps(json.loads(file.read_text()) | users, indent=1))


async def _bring_to(
    broker: Management, stack: Stack, new: topology.Definitions, before: topology.Definitions
) -> None:
    if new != before:
        await topology.apply(broker, new, before)
    if stack.topology is None:
        return
    declared, live = json.loads(stack.topology.read_text()), await broker.get("definitions")
    if differences(declared, live, operator=OPERATOR):
        await topology.apply(broker, new, surplus(declared, live, operator=OPERATOR))


async def _until_joined(broker: Management, count: int) -> None:
    """Raises ShopError unless that many nodes run as one cluster."""
    for _ in range(int(_JOIN_SECONDS / _POLL_SECONDS)):
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


def _definitions(stack: Stack, node: str) -> Path:
    return stack.layout.node(node) / "definitions.json"


def _imported(stack: Stack) -> Path:
    return stack.layout.node(FIRST) / "imported.json"


def _rendered(stack: Stack) -> topology.Definitions:
    declared = json.loads(stack.topology.read_text()) if stack.topology else {}
    return topology.render(declared, OPERATOR, lambda user: stack.secrets.password(f"rabbitmq-{user}"))
