"""Members' folders bear the names of the packages inside them. Importing the packages first keeps pytest's
importlib mode from taking a folder for its package."""

import importlib
from pathlib import Path

import structlog

_ROOT = Path(__file__).parent

for _members in (_ROOT, _ROOT / "tools"):
    for _package in sorted(_members.glob("*/src/*/__init__.py")):
        importlib.import_module(_package.parent.name)

# Rich draws a traceback with all local variables, where it is installed. That takes seconds, in which the
# event loop is blocked and a broker's answer comes too late.
_plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _plain])
