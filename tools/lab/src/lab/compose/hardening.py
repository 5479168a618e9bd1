"""What a container really got of what the file asks for, read from the engine."""

from collections.abc import Iterable, Iterator

from lab.compose.project import Container, service_of

# Their entrypoints make the data folder the server's own before they become its user.
_START_AS_ROOT = {"postgres", "rabbitmq"}
_LOOPBACK = {"127.0.0.1", "::1"}


def faults(containers: Iterable[Container]) -> list[str]:
    """A line for each thing that is not as hard as it should be."""
    return [f"{service_of(one)}: {fault}" for one in containers for fault in _faults(one)]


def _faults(container: Container) -> Iterator[str]:
    host, config = container["HostConfig"], container["Config"]
    if service_of(container) not in _START_AS_ROOT and config["User"].split(":")[0] in ("", "0", "root"):
        yield "runs as root"
    if not host["ReadonlyRootfs"]:
        yield "may write to its root file system"
    if host["CapDrop"] != ["ALL"]:
        yield "keeps capabilities"
    if host["CapAdd"] and service_of(container) not in _START_AS_ROOT:
        yield f"has {', '.join(host['CapAdd'])}"
    if "no-new-privileges:true" not in (host["SecurityOpt"] or []):
        yield "may gain privileges"
    if host["Privileged"]:
        yield "is privileged"
    if not (host["Memory"] and host["NanoCpus"] and host["PidsLimit"]):
        yield "is not limited"
    for port, bindings in (host["PortBindings"] or {}).items():
        for binding in bindings or []:
            if binding["HostIp"] not in _LOOPBACK:
                yield f"publishes {port} beyond this machine"
