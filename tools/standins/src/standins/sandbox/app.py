"""The sandbox as an ASGI application, without a framework: it runs on the cores that are being measured."""

import hmac
import os
import time
from collections.abc import Callable

import uvicorn
from starlette.types import Receive, Scope, Send

from standins.running import http_server
from standins.sandbox import control, forms, operations, page, queries, reversals
from standins.sandbox.calls import CallHandler, Operation
from standins.sandbox.errors import INVALID, Refusal
from standins.sandbox.exchange import BreakableProtocol, Exchange
from standins.sandbox.settings import Settings
from standins.sandbox.state import Journal, State
from standins.sandbox.webhooks import WebhookSender

# An empty step is a name.
POSTS: dict[tuple[str, ...], Operation] = {
    ("payment_intents",): operations.create,
    ("payment_intents", "", "confirm"): operations.confirm,
    ("payment_intents", "", "capture"): operations.capture,
    ("payment_intents", "", "cancel"): operations.cancel,
    ("refunds",): reversals.refund,
}
GETS: dict[tuple[str, ...], queries.Query] = {
    ("payment_intents",): queries.intents,
    ("payment_intents", "search"): queries.search,
    ("payment_intents", ""): queries.intent,
    ("refunds",): queries.refunds,
    ("refunds", ""): queries.refund,
    ("disputes",): queries.disputes,
    ("disputes", ""): queries.dispute,
    ("charges", ""): queries.charge,
    ("balance",): queries.balance,
}


class Sandbox:
    """Rebuilds its state from the journal. Raises Unreadable."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings, self._secret = settings, settings.api_key.encode()
        self._state = State(Journal(settings.journal), most_pending=settings.webhook_queue)
        self._sender = WebhookSender(settings, self._state, clock)
        self._handler = CallHandler(settings, self._state, self._sender, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send, self._settings))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._sender.start()
        self._handler.resume()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._sender.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.path.startswith(page.PATH):
            await page.serve(exchange, self._state, self._handler)
            return
        if not exchange.path.startswith("/v1/"):
            await control.serve(exchange, self._state, self._sender, self._handler)
            return
        exchange.request = f"req_{os.urandom(7).hex()}"
        try:
            self._authenticate(exchange)
            await self._dispatch(exchange)
        except Refusal as refusal:
            # What is left of a body that was not read would be taken for the next request.
            close = [(b"connection", b"close")] if refusal.status in (408, 413) else []
            await exchange.answer(refusal.status, {"error": refusal.error}, *close)

    def _authenticate(self, exchange: Exchange) -> None:
        scheme, _, given = exchange.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not given:
            message = "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_SECRET_KEY'."
            raise Refusal(message, status=401)
        if not hmac.compare_digest(given, self._secret):
            shown = given[:7].decode("ascii", "replace")
            raise Refusal(f"Invalid API Key provided: {shown}****", status=401)

    async def _dispatch(self, exchange: Exchange) -> None:
        steps = tuple(exchange.path.removeprefix("/v1/").removesuffix("/").split("/"))
        name = steps[1] if len(steps) > 1 else ""
        pattern = (steps[0], "", *steps[2:]) if name else steps
        if exchange.method == "POST" and pattern in POSTS:
            await self._handler.serve(exchange, POSTS[pattern], name)
        elif exchange.method == "GET" and (query := GETS.get(steps) or GETS.get(pattern)):
            form = forms.nest(forms.read_form(exchange.query))
            await self._handler.answer_query(exchange, query(self._state, form, name))
        else:
            message = f"Unrecognized request URL ({exchange.method}: {exchange.path}) in this sandbox."
            raise Refusal(message, status=404, kind=INVALID)


def build(settings: Settings, clock: Callable[[], float] = time.time) -> uvicorn.Server:
    """The server, not yet started. Raises Unreadable."""
    app = Sandbox(settings, clock)
    return http_server(app, settings.host, settings.port, http=BreakableProtocol, timeout_keep_alive=75)
