"""Members' folders bear the names of the packages inside them. Importing the packages first keeps pytest's
importlib mode from taking a folder for its package."""

import importlib
from pathlib import Path

_ROOT = Path(__file__).parent

for _members in (_ROOT, _ROOT / "tools"):
    for _package in sorted(_members.glob("*/src/*/__init__.py")):
        importlib.import_module(_package.parent.name)
