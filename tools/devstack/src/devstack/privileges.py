"""PostgreSQL refuses to run as root: as root it gets a system user of its own, otherwise it runs as we do.

Private folders above its files let that one user traverse them, by an access control list, and stay closed to
all others. The list is an extended attribute (acl(5)): a version, then entries of tag, rights and id. It is
packed here, for `setfacl` may be missing, and the packages on PyPI need a compiler.
"""

import errno
import os
import pwd
import shutil
import stat
import struct
import subprocess
from pathlib import Path

from shop.errors import ShopError

SYSTEM_USER = "pgserver"
_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _GROUP_OBJECT, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_TRAVERSE = 0o1


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
        status = folder.stat()
        if status.st_mode & stat.S_IXOTH or status.st_uid == user.pw_uid:
            continue
        try:
            let_traverse(folder, user.pw_uid)
        except OSError as error:
            raise ShopError(
                f"PostgreSQL, as user {SYSTEM_USER}, cannot traverse {folder} ({error.strerror}): "
                "clone the project into another folder, or do not work as root"
            ) from error
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]


def give_to_server_user(path: Path) -> None:
    if os.geteuid() == 0:
        user = _user()
        os.chown(path, user.pw_uid, user.pw_gid)


def let_traverse(folder: Path, uid: int) -> None:
    """Raises OSError where the file system has no such lists, or the folder is not ours."""
    entries = _entries(folder)
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _TRAVERSE
    entries[_MASK, _NO_ID] = entries.get((_MASK, _NO_ID), entries[_GROUP_OBJECT, _NO_ID]) | _TRAVERSE
    packed = (_ENTRY.pack(tag, rights, who) for (tag, who), rights in sorted(entries.items()))
    os.setxattr(folder, _ATTRIBUTE, _VERSION + b"".join(packed))


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    """Rights by tag and id; those of the mode where the folder has no list yet."""
    try:
        raw = os.getxattr(folder, _ATTRIBUTE)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        mode = folder.stat().st_mode
        return {
            (_OWNER, _NO_ID): mode >> 6 & 7,
            (_GROUP_OBJECT, _NO_ID): mode >> 3 & 7,
            (_OTHERS, _NO_ID): mode & 7,
        }
    return {(tag, who): rights for tag, rights, who in _ENTRY.iter_unpack(raw[len(_VERSION) :])}


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        made = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(made, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)
