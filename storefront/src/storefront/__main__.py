"""`python -m storefront` serves the pages on HOST and PORT."""

import sys

import uvicorn
from pydantic import ValidationError

from storefront.app import app
from storefront.logs import configure_logging
from storefront.settings import Settings

CANNOT_START = 78


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False):
            name = "_".join(map(str, one["loc"])).upper()
            sys.stderr.write(f"storefront: {name or 'settings'}: {one['msg']}\n")
        return CANNOT_START
    configure_logging(settings.log_level)
    uvicorn.run(
        app(settings),
        host=settings.host,
        port=settings.port,
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
