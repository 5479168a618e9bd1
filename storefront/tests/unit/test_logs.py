"""What is logged, and what is not."""

import json
import logging
import sys

from storefront.logs import JsonLines


def record_of_a_failure(text: str) -> logging.LogRecord:
    try:
        raise ValueError(text)
    except ValueError:
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "a page failed", (), sys.exc_info())


def test_a_line_is_json_and_has_no_text_of_an_exception() -> None:
    text = JsonLines().format(record_of_a_failure("ada@example.com"))
    assert "\n" not in text
    assert "ada@example.com" not in text
    line = json.loads(text)
    assert (line["service"], line["level"], line["event"]) == ("storefront", "error", "a page failed")
    assert line["exception"].endswith("ValueError")
    assert "record_of_a_failure" in line["exception"]
