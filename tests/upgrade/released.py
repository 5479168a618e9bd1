"""The code of the previous release, taken out of git."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from contracts.schema import committed

ROOT = Path(__file__).parents[2]
SCHEMAS = "contracts/schemas"
_MIGRATIONS = "*/src/*/migrations/versions/*.py"


@cache
def commit() -> str:
    lines = (ROOT / "deploy/release").read_text().splitlines()
    [found] = [line for line in lines if line and not line.startswith("#")]
    return found


@contextmanager
def unpacked() -> Iterator[Path]:
    """The release's tree, for a while, where PostgreSQL's own user may look, unlike pytest's folders.
    Fails where the clone has not its commit.
    """
    if _git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
        _git("fetch", "--unshallow")
    archived = _git("archive", commit())
    if archived.returncode:
        pytest.fail(f"the release {commit()} is not in this clone, clone it whole\n{archived.stderr!r}")
    folder = ROOT / ".local" / "release" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=BytesIO(archived.stdout)) as tree:
            tree.extractall(folder, filter="data")
        yield folder
    finally:
        shutil.rmtree(folder)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=60)


def migrations(tree: Path) -> dict[Path, str]:
    """The text of each by its path inside the tree."""
    return {path.relative_to(tree): path.read_text() for path in tree.glob(_MIGRATIONS)}


def python(
    tree: Path, arguments: Sequence[str], *, given: str = "", seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run Python with the release's packages in front of today's."""
    sources = [str(path) for path in sorted([*tree.glob("*/src"), *tree.glob("tools/*/src")])]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HYPOTHESIS"))}
    environment = own | {"PYTHONPATH": os.pathsep.join([*sources, str(ROOT)])}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


class Release:
    """The previous release: its schemas, and its code in a process of its own."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.schemas = committed(tree / SCHEMAS)

    def does(self, what: str, given: Any) -> Any:
        script = str(ROOT / "tests/upgrade/peer.py")
        run = python(self.tree, [script, what], given=json.dumps(given), seconds=60)
        assert run.returncode == 0, run.stderr[-3000:]
        said = json.loads(run.stdout)
        assert Path(said["by"]).is_relative_to(self.tree), "that was not the release's code"
        return said["answer"]
