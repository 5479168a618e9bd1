"""`python -m standins.sandbox`: serves the sandbox until SIGTERM."""

import gc
import sys
import time
from collections.abc import Callable

import uvicorn

from standins.sandbox.app import Sandbox
from standins.sandbox.calls import CallHandler
from standins.sandbox.journal import Journal, Unreadable
from standins.sandbox.protocol import BreakableProtocol
from standins.sandbox.settings import Misconfigured, Settings, from_environment
from standins.sandbox.state import State
from standins.sandbox.webhooks import WebhookSender

SHUTDOWN = 3


def build(settings: Settings, clock: Callable[[], float] = time.time) -> uvicorn.Server:
    """Rebuilds the state from the journal and returns the server, not yet started. Raises Unreadable."""
    state = State(Journal(settings.journal), most_pending=settings.webhook_queue)
    sender = WebhookSender(settings, state, clock)
    app = Sandbox(settings, state, sender, CallHandler(settings, state, sender, clock))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BreakableProtocol,
        ws="none",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=SHUTDOWN,
    )
    return uvicorn.Server(config)


def main() -> None:
    # Payments live for ever: looking for garbage among them would cost more than serving them.
    gc.set_threshold(100_000, 50, 1000)
    try:
        server = build(from_environment())
    except (Misconfigured, Unreadable, OSError) as problem:
        sys.exit(f"sandbox: {problem}")
    gc.freeze()
    server.run()


if __name__ == "__main__":
    main()
