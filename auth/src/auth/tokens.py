"""The access tokens that every service verifies for itself. Source: RFC 9068."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from auth.domain import SCOPES, Account
from auth.keys import Keys

CLIENT = "storefront"  # there is no other: whoever calls, calls for the shopper at hand


@dataclass(frozen=True)
class AccessTokens:
    """Issues them; `access_seconds` and `guest_seconds` are how long they are good for."""

    keys: Keys
    issuer: str
    audience: str
    access_seconds: float
    guest_seconds: float
    clock: Callable[[], float] = time.time

    def for_account(self, account: Account) -> str:
        return self._issue(account.account_id, account.role, self.access_seconds, {"email": account.email})

    def for_guest(self, guest_id: UUID) -> str:
        """A guest has no row anywhere: the token is all there is of one."""
        return self._issue(guest_id, "guest", self.guest_seconds, {})

    def _issue(self, subject: UUID, role: str, lifetime: float, more: dict[str, Any]) -> str:
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject),
            "iat": now,
            "exp": now + int(lifetime),
            "jti": uuid4().hex,
            "client_id": CLIENT,
            "role": role,
            **({"scope": SCOPES[role]} if SCOPES[role] else {}),
            **more,
        }
        return self.keys.current.sign(claims)
