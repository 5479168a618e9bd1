"""`shop keys` with the file of a remote shop: one line, and an exit code."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from devstack.programs import script
from shop.keys.ring import LONGEST_TOKEN_SECONDS, Ring, SigningKey


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "signing-keys.json"
    file.write_text(Ring([SigningKey.made(1)]).text())
    file.chmod(0o640)
    return file


def shop(*arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "COLUMNS": "120"}
    command = [script("shop"), "keys", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_new_key_waits_until_all_can_have_it(file: Path) -> None:
    assert "is added: give the file to auth" in shop("add", "--file", str(file))

    [first, new] = json.loads(shop("list", "--json", "--file", str(file)))

    assert (first["does"], new["does"]) == ("signs", "waits")
    assert "may not have" in shop("use", new["kid"], "--file", str(file), code=1)
    assert "is added and not yet used" in shop("add", "--file", str(file), code=1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_key_that_is_old_enough_takes_over_and_the_other_is_dropped(file: Path) -> None:
    second = SigningKey.made(2)
    ring = Ring.read(file.read_text())
    file.write_text(ring.add(second).text())

    shop("use", second.kid, "--file", str(file))

    [signing, staying] = json.loads(shop("list", "--json", "--file", str(file)))
    assert (signing["kid"], signing["does"]) == (second.kid, "signs")
    assert (staying["kid"], staying["does"]) == (ring.signer.kid, "stays")
    assert staying["tokens_until"] > LONGEST_TOKEN_SECONDS
    assert "or pass --now" in shop("drop", staying["kid"], "--file", str(file), code=1)
    assert "is dropped" in shop("drop", staying["kid"], "--now", "--file", str(file))
    assert [key.kid for key in Ring.read(file.read_text()).keys] == [second.kid]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert shop("list", "--file", str(tmp_path / "none"), code=1) == (
        f"shop: {tmp_path}/none: No such file or directory\n"
    )
