"""Lets one user traverse a private folder, by an access control list; for all others it stays closed.

The list is the extended attribute that Linux keeps (acl(5)): a version, then entries of tag, rights and id.
"""

import errno
import os
import struct
from pathlib import Path

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _GROUP_OBJECT, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF
_PASS = 0o1

Entries = dict[tuple[int, int], int]


def let_pass(folder: Path, uid: int) -> None:
    """Raises OSError where the file system has no such lists, or the folder is not ours."""
    entries = _entries(folder)
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _PASS
    entries[_MASK, _NOBODY] = entries.get((_MASK, _NOBODY), entries[_GROUP_OBJECT, _NOBODY]) | _PASS
    packed = (_ENTRY.pack(tag, rights, who) for (tag, who), rights in sorted(entries.items()))
    os.setxattr(folder, _ATTRIBUTE, _VERSION + b"".join(packed))


def _entries(folder: Path) -> Entries:
    try:
        raw = os.getxattr(folder, _ATTRIBUTE)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        mode = folder.stat().st_mode
        rights = {_OWNER: mode >> 6 & 7, _GROUP_OBJECT: mode >> 3 & 7, _OTHERS: mode & 7}
        return {(tag, _NOBODY): right for tag, right in rights.items()}
    return {(tag, who): rights for tag, rights, who in _ENTRY.iter_unpack(raw[len(_VERSION) :])}
