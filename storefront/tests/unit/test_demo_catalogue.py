"""The demo catalogue and its drawings."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

STOREFRONT = Path(__file__).parents[2]
PICTURES = STOREFRONT / "src" / "storefront" / "pictures"
PRODUCTS: list[dict[str, Any]] = json.loads((STOREFRONT / "catalogue.json").read_text())
LARGEST = 3000  # bytes of a picture
DRAWN = {"svg", "g", "rect", "circle", "ellipse", "path"}


def test_every_product_has_a_picture_of_its_own_and_every_picture_a_product() -> None:
    pictures = [product["picture"] for product in PRODUCTS]
    assert sorted({*pictures, "/pictures/placeholder.svg"}) == sorted(
        f"/pictures/{file.name}" for file in PICTURES.iterdir()
    )
    assert len(set(pictures)) == len(PRODUCTS) == len({product["sku"] for product in PRODUCTS})


@pytest.mark.parametrize("file", sorted(PICTURES.iterdir()), ids=lambda file: file.stem)
def test_a_picture_is_a_small_drawing_and_nothing_else(file: Path) -> None:
    assert file.stat().st_size <= LARGEST
    root = ElementTree.parse(file).getroot()
    assert root.get("viewBox") == "0 0 240 240"
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in DRAWN
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]


def test_the_shop_shows_what_a_real_one_does() -> None:
    stock = [product["stock"] for product in PRODUCTS]
    assert 0 in stock  # sold out
    assert any(0 < pieces <= 5 for pieces in stock)  # few left
    assert len({product["category"] for product in PRODUCTS}) >= 6
    assert all(product["picture_alt"] and product["description"] for product in PRODUCTS)
