"""What the storefront remembers of a shopper, in two encrypted cookies and nowhere else."""

import hmac
import json
import secrets
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from starlette.requests import Request
from starlette.responses import Response

from storefront.settings import Settings

KEEP_SECONDS = 14 * 24 * 3600  # as long as auth keeps a login that nobody uses
_RENEW_BEFORE = 30  # seconds: longer than a page takes
# Who the shopper is; the other fields are in a cookie of their own.
_IDENTITY = frozenset({"csrf", "token", "token_until", "refresh_token"})


def _new_secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Tokens:
    """An account's: the access token is to be renewed at `until`, in seconds of the epoch."""

    token: str
    until: float
    refresh_token: str

    @classmethod
    def of(cls, response: dict[str, Any]) -> "Tokens":
        """From the API's response to a login or a renewal."""
        lifetime = response["expires_in"]
        until = time.time() + lifetime - min(_RENEW_BEFORE, lifetime / 2)
        return cls(response["access_token"], until, response["refresh_token"])


@dataclass
class Session:
    """One browser's session.

    `token` is the shopper's access token, good until `token_until` (seconds of the epoch). An account has a
    `refresh_token` to renew it with, a guest has none. `csrf` is what the tokens of its forms are made of.

    `pieces` are in the cart, as far as this browser knows. `notice` is shown on the next page, once. `claim`
    is the token of a guest's order that she wants in her account, while she logs in. `looked_up` are number
    and address of the order that was looked up last.

    `prices` are those at which products were put into the cart, by sku (`cart_prices.py`).
    """

    csrf: str = field(default_factory=_new_secret)
    token: str | None = None
    token_until: float = 0
    refresh_token: str | None = None
    pieces: int = 0
    notice: dict[str, Any] | None = None
    prices: dict[str, str] = field(default_factory=dict)
    claim: str | None = None
    looked_up: list[str] | None = None

    def begin(self, token: str, expires_in: float) -> None:
        """Take a guest's identity. The secret of the forms is a new one, so that none that was planted before
        works."""
        self.csrf, self.refresh_token = _new_secret(), None
        self.token, self.token_until = token, time.time() + expires_in

    def log_in(self, tokens: Tokens) -> None:
        """Take an account's identity, with a new secret of the forms as well."""
        self.csrf, self.pieces = _new_secret(), 0
        self.renew(tokens)

    def renew(self, tokens: Tokens) -> None:
        self.token, self.token_until, self.refresh_token = tokens.token, tokens.until, tokens.refresh_token

    def end(self) -> None:
        """Forget who the shopper is."""
        self.csrf, self.token, self.token_until, self.refresh_token = _new_secret(), None, 0, None
        self.pieces, self.claim, self.looked_up = 0, None, None
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
    def is_account(self) -> bool:
        """Whether the shopper has logged in."""
        return self.refresh_token is not None

    @property
    def is_fresh(self) -> bool:
        """Whether the access token can be used as it is."""
        return self.token is not None and time.time() < self.token_until

    @property
    def is_current(self) -> bool:
        """Whether the shopper is someone: a guest whose token is not over, or an account."""
        return self.is_account or self.is_fresh


_MEMORY = frozenset(one.name for one in fields(Session)) - _IDENTITY


class SessionCookies:
    """Reads and writes sessions. A cookie that was tampered with, or is too old, is no cookie.

    There are two. Who the shopper is, is written only by a request that changes it. What a page remembers
    changes often, and a slow request that writes it late must not bring back tokens that another tab has
    renewed meanwhile: with a refresh token that was used before, auth would end the session.
    """

    def __init__(self, settings: Settings) -> None:
        keys = settings.session_key.get_secret_value().split(",")
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._secure = settings.secure
        # A browser takes the prefix only with Secure, for all paths, and from this host alone (RFC 6265bis).
        prefix = "__Host-" if settings.secure else ""
        self.identity, self.memory = f"{prefix}session", f"{prefix}memory"

    def read(self, request: Request) -> tuple[Session, dict[str, Any]]:
        """The session, and what the cookies have of it."""
        identity, memory = self._read(request, self.identity), self._read(request, self.memory)
        # What another release has written may have other fields.
        stored = {name: identity[name] for name in _IDENTITY & identity.keys()}
        stored |= {name: memory[name] for name in _MEMORY & memory.keys()}
        session = Session(**deepcopy(stored))
        if session.token is not None and not session.is_current:
            session.end()
        return session, stored

    def write(self, response: Response, session: Session, stored: dict[str, Any]) -> None:
        """Write each cookie whose part of the session is not what it has `stored`."""
        content = asdict(session)
        for name, part in ((self.identity, _IDENTITY), (self.memory, _MEMORY)):
            if any(one not in stored or stored[one] != content[one] for one in part):
                self._write(response, name, {one: content[one] for one in part})

    def _read(self, request: Request, name: str) -> dict[str, Any]:
        try:
            text = self._fernet.decrypt(request.cookies.get(name, "").encode(), ttl=KEEP_SECONDS)
        except InvalidToken:
            return {}
        found: dict[str, Any] = json.loads(text)
        return found

    def _write(self, response: Response, name: str, content: dict[str, Any]) -> None:
        response.set_cookie(
            name,
            self._fernet.encrypt(json.dumps(content).encode()).decode(),
            max_age=KEEP_SECONDS,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
