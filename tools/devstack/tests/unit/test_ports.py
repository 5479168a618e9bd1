"""Ports of a stack: a free block of them, and who uses a taken one."""

import os
import socket

from devstack import ports


def test_every_port_of_a_free_block_is_free_and_below_the_ephemeral_range() -> None:
    block = ports.block(ports.free_base())

    assert max(block.values()) < 32768
    assert all(ports.is_free(port) for port in block.values())


def test_the_default_block_starts_with_the_gateway_at_18000() -> None:
    block = ports.block(ports.BASE)

    assert (block["gateway"], block["order"], block["management"]) == (18000, 18004, 18013)
    assert (block["gateway-tls"], len(block)) == (18015, ports.SIZE)


def test_the_process_that_listens_on_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert not ports.is_free(port)
        assert f"pid {os.getpid()}" in ports.holder(port)
