"""PostgreSQL refuses to run as root: as root it gets a system user of its own, otherwise it runs as we do."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from shop.errors import ShopError

SYSTEM_USER = "pgserver"


def as_server_user(*needed: Path) -> list[str]:
    """What to put in front of a server's command so that it may run here and reach the paths it needs.

    Raises ShopError when we are root and `setpriv` is missing.
    """
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise ShopError(
            "PostgreSQL does not run as root: install util-linux (setpriv), or run as another user"
        )
    user = _user()
    prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    if not all(_reachable_by_others(path) for path in needed):
        # A clone below a private folder (/root, mktemp): rather than open that folder to everybody,
        # let this one process pass.
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*prefix, "--"]


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


def _reachable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
