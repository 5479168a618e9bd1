"""PostgreSQL refuses to run as root: as root it gets a system user of its own, otherwise it runs as we do."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from devstack.passage import let_pass
from shop.errors import ShopError

SYSTEM_USER = "pgserver"


def as_server_user(*needed: Path) -> list[str]:
    """What to put in front of a server's command so that it may run here, able to reach the paths it needs.

    Raises ShopError when we are root and `setpriv` is missing, or a folder above cannot be opened to it.
    """
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise ShopError("PostgreSQL does not run as root: install setpriv (util-linux) or be another user")
    user = _user()
    for folder in {folder for path in needed for folder in path.resolve().parents}:
        if not folder.stat().st_mode & stat.S_IXOTH:
            _open(folder, user)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]


def give_to_server_user(path: Path) -> None:
    if os.geteuid() == 0:
        user = _user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        made = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(made, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)


def _open(folder: Path, user: pwd.struct_passwd) -> None:
    if folder.stat().st_uid == user.pw_uid:
        return
    try:
        let_pass(folder, user.pw_uid)
    except OSError as error:
        raise ShopError(
            f"PostgreSQL, as user {SYSTEM_USER}, cannot traverse {folder} ({error.strerror}): "
            "clone the project into another folder, or do not work as root"
        ) from error
