"""Password hashing: slow on purpose, so in few threads and with a bounded queue."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.domain import is_address, normalised_password
from chassis.errors import Unavailable
from chassis.http.problems import Unprocessable

T = TypeVar("T")


class PasswordIsAddress(Unprocessable):
    """422: the password is the mail address or its local part."""

    type = "/problems/password-is-address"
    title = "The password is the address"


class Passwords:
    """argon2id with the parameters of the OWASP Password Storage Cheat Sheet: 19 MiB, t=2, p=1.

    `threads` hash at once and `queue` more may wait; further calls raise Unavailable.
    """

    def __init__(self, *, threads: int, queue: int) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free_slots = threads + queue
        self._unknown_users = self._hasher.hash(secrets.token_hex(16))

    async def hash_new(self, password: str, email: str) -> str:
        """The hash of a password that is chosen for the account with this address. Raises PasswordIsAddress,
        Unavailable."""
        password = normalised_password(password)
        if is_address(password, email):
            raise PasswordIsAddress
        return await self.hash(password)

    async def hash(self, password: str) -> str:
        """Raises Unavailable when too many wait."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Takes the same time for an account that does not exist (`None`). Raises Unavailable."""

        def matches() -> bool:
            try:
                return self._hasher.verify(password_hash or self._unknown_users, password)
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(matches) and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash has other parameters than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)

    async def aclose(self) -> None:
        """Finish running hashes in their threads and cancel waiting ones."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._free_slots:
            raise Unavailable("Too many logins at once.", retry_after=2)
        self._free_slots -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._free_slots += 1
