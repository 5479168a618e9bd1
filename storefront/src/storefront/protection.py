"""Headers that keep pages to this origin, and the check that a form was sent by a page of ours."""

from collections.abc import Sequence
from urllib.parse import quote_from_bytes

from starlette.datastructures import FormData, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storefront.session import Session


def _policy(script: str = "", connect: str = "", frame: str = "'none'") -> str:
    return (
        f"default-src 'none'; script-src 'self'{script}; style-src 'self'; img-src 'self';"
        f" connect-src 'self'{connect}; frame-src {frame};"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


# Files of this origin and nothing else. A link, not a form, leads to the bank's page.
_POLICY = _policy()
STRIPE_POLICY = _policy(
    " https://js.stripe.com", " https://api.stripe.com", "https://js.stripe.com https://hooks.stripe.com"
)
"""For the one page with Stripe's Payment Element: its script, its frames and its calls. Source:
https://docs.stripe.com/security/guide#content-security-policy."""
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers send forms with `Origin: null` (Fetch standard, "append a request Origin").
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


_ASCII = bytes(range(128))


class SecurityHeaders:
    """Adds the headers that a response does not have itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] == "http" and not scope["query_string"].isascii():
            # Starlette takes a query for ASCII, the server any byte.
            escaped = quote_from_bytes(scope["query_string"], safe=_ASCII)
            scope = {**scope, "query_string": escaped.encode()}
        await self._app(scope, receive, send_with_headers)


def is_from_a_form_of_ours(
    request: Request, form: FormData, session: Session, origins: Sequence[str]
) -> bool:
    """Whether a POST has a token of the session's pages, and no other site's origin. Source: OWASP's
    Cross-Site Request Forgery Prevention Cheat Sheet."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in origins:
        return False
    sent = form.get("csrf")
    return isinstance(sent, str) and session.accepts(sent)
