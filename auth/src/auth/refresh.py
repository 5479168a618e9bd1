"""Refresh tokens: opaque to everybody, kept only as a hash."""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

_SECRET_BYTES = 32


@dataclass(frozen=True)
class RefreshToken:
    """Names its session and proves itself by a secret; the secret is random, so a plain hash will do."""

    session_id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def fresh(cls, session_id: UUID) -> Self:
        return cls(session_id, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`None` for what was never a refresh token."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return cls(UUID(bytes=raw[:16]), raw[16:]) if len(raw) == 16 + _SECRET_BYTES else None

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.session_id.bytes + self.secret).decode()
