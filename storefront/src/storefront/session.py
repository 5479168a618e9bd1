"""What the storefront remembers of a shopper, in an encrypted cookie and nowhere else."""

import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from starlette.requests import Request
from starlette.responses import Response

from storefront.settings import Settings

KEEP_SECONDS = 24 * 3600  # as long as a guest's token


def _new_secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass
class Session:
    """One browser's session.

    `token` is the shopper's access token, which `token_until` (seconds of the epoch) ends. `csrf` is what the
    tokens of its forms are made of. `pieces` are in the cart, as far as this browser knows. `notice` is shown
    on the next page, once. `prices` are those at which products were put into the cart, by sku
    (`cart_prices.py`).
    """

    csrf: str = field(default_factory=_new_secret)
    token: str | None = None
    token_until: float = 0
    pieces: int = 0
    notice: dict[str, Any] | None = None
    prices: dict[str, str] = field(default_factory=dict)

    def begin(self, token: str, expires_in: float) -> None:
        """Take an identity. The secret of the forms is a new one, so that none that was planted before
        works."""
        self.csrf, self.token, self.token_until = _new_secret(), token, time.time() + expires_in

    def end(self) -> None:
        """Forget who the shopper is."""
        self.csrf, self.token, self.token_until, self.pieces = _new_secret(), None, 0, 0
        self.prices = {}

    def form_token(self) -> str:
        """For the forms of one page. Each page has another, so that the secret cannot be found by the lengths
        of compressed pages (BREACH)."""
        salt = secrets.token_urlsafe(12)
        return f"{salt}.{self._mac(salt)}"

    def accepts(self, form_token: str) -> bool:
        """Whether the token is of a page of this session."""
        salt, _, mac = form_token.partition(".")
        return hmac.compare_digest(mac.encode(), self._mac(salt).encode())

    def _mac(self, salt: str) -> str:
        return hmac.digest(self.csrf.encode(), salt.encode(), "sha256").hex()

    @property
    def is_current(self) -> bool:
        return self.token is not None and time.time() < self.token_until


class SessionCookie:
    """Reads and writes sessions. A cookie that was tampered with, or is too old, is no cookie."""

    def __init__(self, settings: Settings) -> None:
        keys = settings.session_key.get_secret_value().split(",")
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._secure = settings.secure
        # A browser takes the prefix only with Secure, for all paths, and from this host alone (RFC 6265bis).
        self.name = "__Host-session" if settings.secure else "session"

    def read(self, request: Request) -> Session:
        try:
            text = self._fernet.decrypt(request.cookies.get(self.name, "").encode(), ttl=KEEP_SECONDS)
            session = Session(**json.loads(text))
        except (InvalidToken, TypeError):
            return Session()
        if session.token is not None and not session.is_current:
            session.end()
        return session

    def write(self, response: Response, session: Session) -> None:
        text = self._fernet.encrypt(json.dumps(asdict(session)).encode()).decode()
        response.set_cookie(
            self.name,
            text,
            max_age=KEEP_SECONDS,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
