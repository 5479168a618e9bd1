"""What docs/architecture.md, docs/glossary.md and CONTRIBUTING.md name in the code is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION = re.compile(r"`([\w/]+\.py)::([\w.]+)`")
FILE = re.compile(r"(?:`|^pytest -n 0 )([\w/]+/[\w/]+\.(?:py|md|toml|json|yml))\b", re.MULTILINE)
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
WALK = ARCHITECTURE.split("## Where to find what")[0]
GLOSSARY = (ROOT / "docs/glossary.md").read_text()
HOW_TO = (ROOT / "CONTRIBUTING.md").read_text()
FUNCTIONS = sorted(set(FUNCTION.findall(ARCHITECTURE)))
FILES = sorted({path for text in (ARCHITECTURE, GLOSSARY, HOW_TO) for path in FILE.findall(text)})


def _defined(module: ast.Module | ast.ClassDef, prefix: str = "") -> set[str]:
    """Functions and methods, the latter as `Class.method`."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(prefix + node.name)
        elif isinstance(node, ast.ClassDef):
            names |= _defined(node, f"{node.name}.")
    return names


@pytest.mark.parametrize(("path", "function"), FUNCTIONS)
def test_a_function_that_is_named_exists(path: str, function: str) -> None:
    assert function in _defined(ast.parse((ROOT / path).read_text()))


def test_the_walk_has_at_most_fifteen_files() -> None:
    assert 10 <= len({path for path, _ in FUNCTION.findall(WALK)}) <= 15


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_glossary_has_at_most_forty_words_in_alphabetical_order() -> None:
    words = [row.split("|")[1].strip() for row in GLOSSARY.splitlines() if row.startswith("| ")][1:]
    assert 30 <= len(words) <= 40
    assert words == sorted(words, key=str.lower)
