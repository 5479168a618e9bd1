"""The whole shop on this machine: a real broker and database, the services and the outside world."""

from devstack.stack import Stack

__all__ = ["Stack"]
