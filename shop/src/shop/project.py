"""The clone that the command line works in."""

from pathlib import Path

from shop.errors import ShopError


def project_root() -> Path:
    """The workspace's folder: the nearest one above the working directory, else where this code lives."""
    for start in (Path.cwd(), Path(__file__).resolve()):
        for folder in (start, *start.parents):
            if (folder / "uv.lock").exists() and (folder / "shop").is_dir():
                return folder
    raise ShopError("this is not a clone of the project: run the command inside it")
