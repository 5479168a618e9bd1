"""The documents that a reader begins with: their links lead somewhere, their code is the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")
QUOTED = re.compile(r"\]\(([\w/.]+\.py)\):\n\n```python\n(.+?)```", re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _name(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_link_leads_to_a_file_of_this_repository(document: Path) -> None:
    links = LINK.findall(FENCE.sub("", document.read_text()))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_quotes_a_step_as_it_is() -> None:
    quoted = QUOTED.findall((ROOT / "README.md").read_text())
    assert quoted != []
    for path, code in quoted:
        assert code in (ROOT / path).read_text()


def test_the_readme_fits_a_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_a_document_is_at_most_120_columns_wide(document: Path) -> None:
    lines = FENCE.sub("", document.read_text()).splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []
