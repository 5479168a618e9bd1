"""Writing files atomically, for readers that read at any time."""

import os
from pathlib import Path


def write(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file's content, atomically."""
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.chmod(mode)
    os.replace(draft, file)
