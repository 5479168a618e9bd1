"""JSON logs, a line for each record, as the services' are. The gateway logs requests."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """Of an exception a line has the type and the frames: its text may have what a shopper typed."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "service": "storefront",
            "logger": record.name,
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info and record.exc_info[0]:
            kind, _, frames = record.exc_info
            line["exception"] = "".join(traceback.format_tb(frames)) + kind.__qualname__
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """To standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL
