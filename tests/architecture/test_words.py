import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOP_WORDS = re.compile(
    r"\b(orders?|carts?|products?|payments?|stock|shopper|checkout|invoice|refund|sku|shop)\b", re.IGNORECASE
)


def test_the_chassis_holds_no_word_of_shops() -> None:
    found = [
        f"{file.name}:{number}: {line.strip()}"
        for file in sorted((ROOT / "chassis/src").rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if SHOP_WORDS.search(line.replace("ORDER BY", ""))
    ]
    assert found == []
