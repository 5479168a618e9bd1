"""PostgreSQL as its own user reaches files in a private folder, and nobody else does."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from devstack.privileges import let_traverse

_NOBODY = pwd.getpwnam("nobody").pw_uid
_DAEMON = pwd.getpwnam("daemon").pw_uid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what another user may do")


def _run_as(uid: int, *command: str | Path) -> bool:
    tried = subprocess.run(command, user=uid, group=uid, extra_groups=[], capture_output=True, check=False)
    return tried.returncode == 0


def _may_read(file: Path, uid: int) -> bool:
    return _run_as(uid, "cat", file)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A private folder with a file inside that anybody might read who got there."""
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            for uid in (_NOBODY, _DAEMON):
                let_traverse(folder, uid)
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    (folder / "file").write_text("here")
    (folder / "file").chmod(0o644)
    return folder


def test_one_user_may_traverse_a_private_folder_and_nobody_else(private: Path) -> None:
    assert not _may_read(private / "file", _NOBODY)

    let_traverse(private, _NOBODY)

    assert _may_read(private / "file", _NOBODY)
    assert not _may_read(private / "file", _DAEMON)


def test_who_may_traverse_a_folder_may_not_list_it(private: Path) -> None:
    let_traverse(private, _NOBODY)

    assert not _run_as(_NOBODY, "ls", private)


def test_a_second_user_does_not_replace_the_first(private: Path) -> None:
    let_traverse(private, _NOBODY)
    let_traverse(private, _DAEMON)
    let_traverse(private, _DAEMON)

    assert _may_read(private / "file", _NOBODY)
    assert _may_read(private / "file", _DAEMON)
