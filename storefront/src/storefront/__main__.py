"""`python -m storefront` serves the page on HOST and PORT."""

import logging
import os
import sys

import uvicorn

from storefront.app import app

CANNOT_START = 78


def main() -> int:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "18010")
    if not port.isdigit():
        sys.stderr.write(f"storefront: PORT must be a number, not {port!r}\n")
        return CANNOT_START
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO").upper())
    uvicorn.run(
        app(),
        host=host,
        port=int(port),
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=65,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
