"""`python -m standins.sandbox`: serves the sandbox until SIGTERM."""

import gc
import sys

from standins.running import Misconfigured
from standins.sandbox.app import build
from standins.sandbox.settings import from_environment
from standins.sandbox.state import Unreadable


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
