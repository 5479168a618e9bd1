"""The whole shop on this machine: a real broker and database, the services and the outside world."""

from shop.stack.stack import OPERATOR, SERVICES, Stack

__all__ = ["OPERATOR", "SERVICES", "Stack"]
