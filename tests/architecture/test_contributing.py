"""The lines that CONTRIBUTING shows under "Add an event" are complete: they add it to a copy of the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## Add an event\n(.+?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"`([\w/]+\.py)`:\n\n( *)```diff\n(.+?)^\2```$", re.DOTALL | re.MULTILINE)
NEW_TEST = re.compile(r"^\+async def (test_\w+)", re.MULTILINE)
EVENT = "stock.delayed"


def blocks() -> list[tuple[str, str]]:
    """Each file and what is changed in it."""
    section = SECTION.search((ROOT / "CONTRIBUTING.md").read_text())
    assert section is not None
    found = BLOCK.findall(section[1])
    assert len(found) == section[1].count("```diff"), "a block does not follow the file that it belongs to"
    return [(path, re.sub(f"^{indent}", "", block, flags=re.MULTILINE)) for path, indent, block in found]


def changed(text: str, block: str, path: str) -> str:
    """The text with the block's changes, which `@@` separates. The lines that a change replaces, or that are
    beside it, must be in the text, once."""
    for change in block.split("@@\n"):
        lines = [(line[:1], line[1:] + "\n") for line in change.splitlines()]
        before = "".join(line for sign, line in lines if sign != "+")
        after = "".join(line for sign, line in lines if sign != "-")
        assert text.count(before) == 1, f"{path} has these lines {text.count(before)} times:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files with the blocks applied and the documents generated."""
    folder = tmp_path_factory.mktemp("contributing")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for path, block in blocks():
        (folder / path).write_text(changed((folder / path).read_text(), block, path))
    run(folder, "-c", "import sys; from shop.cli import main; sys.argv[1:] = ['generate']; main()")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Python with the copy's packages before those that are installed."""
    sources = [str(source) for source in (*folder.glob("*/src"), *folder.glob("tools/*/src"))]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_event_is_in_the_generated_documents(copy: Path) -> None:
    rows = [line for line in (copy / "SAGA.md").read_text().splitlines() if line.startswith(f"| `{EVENT}` |")]
    asyncapi = yaml.safe_load((copy / "contracts/asyncapi.yaml").read_text())

    assert len(rows) == 1
    assert "product" in rows[0]
    assert "(order.timeline)" in rows[0]
    assert EVENT in {channel["address"] for channel in asyncapi["channels"].values()}
    assert (copy / f"contracts/schemas/{EVENT}.v1.json").is_file()


def test_the_event_reaches_the_timelines_queue_and_only_product_may_publish_it(copy: Path) -> None:
    definitions = json.loads((copy / "deploy/rabbitmq/definitions.json").read_text())
    bound = {one["destination"] for one in definitions["bindings"] if one["routing_key"] == EVENT}
    may_publish = {one["user"] for one in definitions["topic_permissions"] if re.match(one["write"], EVENT)}

    assert bound == {"order.timeline"}
    assert may_publish == {"product"}


def test_the_tests_of_events_documents_and_the_new_step_pass(copy: Path) -> None:
    """Also that no other file has to name the event."""
    new = [f"{path}::{name}" for path, block in blocks() for name in NEW_TEST.findall(block)]

    output = run(
        copy,
        *("-m", "pytest", "-v"),
        *("tests/architecture/test_events.py", "tests/contracts/test_documents.py", *new),
    )

    assert f"test_an_event_is_consumed_by_someone[{EVENT}] PASSED" in output
    assert f"test_an_event_about_an_order_is_in_its_timeline[{EVENT}] PASSED" in output
    assert new != []
    assert all(f"{one} PASSED" in output for one in new)
