"""One word for one thing: the words are in docs/glossary.md, and what is retired stays away."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOP_WORDS = re.compile(
    r"\b(orders?|carts?|products?|payments?|stock|shopper|checkout|invoice|refund|sku|shop)\b", re.IGNORECASE
)

# What is to be said instead, and the pattern of what was said.
RETIRED = {
    "publishes=": r"\bsays=|\bkeys_said\b|said_by: ClassVar",
    "republish": r"\bsay_again\b",
    "consume": r"\.hear\(|\bkeys_heard\b",
    "on_outcome": r"\bintents\.settled\(|\bSettlement\b",
    "retry_now": r"\bhasten(ed)?\b|\bask_sooner\b",
    "ServiceClient": r"\bNeighbour(Refused|Crashed)?\b",
    "Cipher, encrypt, decrypt": r"\bSeal(Keys)?\b|\bNotSealed\b|\.seal\(",
    "Batcher": r"\bGathering\b",
    "Job": r"\bPeriodic[(\]]|import Periodic\b|\bsweeps\b",
    "Components, Provided": r"\bParts\(|\bpart\(\"|app\.state\.(?!registry)\w+",
    "raw_sql": r"chassis\.storage\.direct|chassis\.direct",
    "lookup": r"\blook_intent\b|\bnote_look\b|\bintend_look\b|\blooked_up\(|\ba look (at|finds|has)\b",
    "circuit opened, closed": r"is left alone\"|\"answers again\"",
    "a record of evidence, check": r"\b(Order|Charge|Stock|Mail)Seen\b|\blook_closely\b",
    "proxy, history, checker, actor": r"\b(Onlooker|GoesBack|AtProvider|Asides|Automaton|Manners)\b",
    "publish, consume, show, check": r"\b(told|heard|hears|whims|manners|neighbours?|[Ss]tory(?!\"))\b",
    "who, anyone, again": r"\b([Ww]hoever|anew)\b",
    "unavailable, retrying": r"(broker|database) away, waiting",
}
# The previous release has its own names; what is retired has to stand here.
EXEMPT = ("tests/upgrade/released_names.py", "tests/architecture/test_words.py", "CHANGELOG.md", "uv.lock")


def texts() -> Iterator[tuple[str, str]]:
    """Every source file and document, but for migrations, which are never edited."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.html", "*.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if name not in EXEMPT and "/migrations/versions/" not in name and (ROOT / name).is_file():
            yield name, (ROOT / name).read_text()


@pytest.mark.parametrize("instead", RETIRED)
def test_a_retired_word_stays_away(instead: str) -> None:
    pattern = re.compile(RETIRED[instead])
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"write {instead}"


def test_the_chassis_has_no_word_of_the_shops_domain() -> None:
    found = [
        f"{file.name}:{number}: {line.strip()}"
        for file in sorted((ROOT / "chassis/src").rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if SHOP_WORDS.search(line.replace("ORDER BY", ""))
    ]
    assert found == []
