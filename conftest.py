"""Members' folders bear the names of the packages inside them. Importing the packages first keeps pytest's
importlib mode from taking a folder for its package."""

import importlib

for _package in (
    "auth",
    "cart",
    "chassis",
    "contracts",
    "notification",
    "order",
    "payment",
    "product",
    "scenarios",
    "shop",
    "standins",
    "storefront",
):
    importlib.import_module(_package)
