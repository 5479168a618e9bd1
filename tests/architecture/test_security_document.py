"""docs/security.md names a test for each rule: they are there, under these names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/security.md").read_text()
PROOF = re.compile(r"`([\w/.-]+\.py)(?:::(\w+))?`")
RULE = re.compile(r"^\| (?!rule |---)(.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


@pytest.mark.parametrize(("path", "test"), sorted(set(PROOF.findall(DOCUMENT))))
def test_the_test_that_a_rule_names_exists(path: str, test: str) -> None:
    file = ROOT / path
    assert file.is_file()
    if test:
        assert re.search(rf"^(async )?def {test}\(", file.read_text(), re.MULTILINE)


def test_every_rule_names_a_test() -> None:
    rules = RULE.findall(DOCUMENT.partition("## The rules")[2].partition("## What is logged")[0])
    assert len(rules) > 30
    assert [rule for rule, _, proof in rules if not PROOF.search(proof)] == []
