"""Files that are read by others while they are written: nobody ever sees half of one."""

import os
from pathlib import Path


def write(file: Path, text: str, mode: int = 0o600) -> None:
    """Put it in the place of what was there."""
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.chmod(mode)
    os.replace(draft, file)
