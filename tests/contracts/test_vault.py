"""Every vault gives each purpose a key of its own, the same one for ever."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kira.adapters.vault.keyfile import FILE_NAME, make_key_file, open_vault
from kira.domain.errors import WrongSetting
from kira.ports.vault import Vault
from kira.testing.vault import MemoryVault

SECRET = "a setting that is long enough to be a key"
Opener = Callable[[Path], Vault]


@pytest.fixture(params=["file", "setting", "memory"])
def opener(request: pytest.FixtureRequest) -> Opener:
    openers: dict[str, Opener] = {
        "file": open_vault,
        "setting": lambda folder: open_vault(folder, SECRET),
        "memory": lambda folder: MemoryVault(),
    }
    return openers[request.param]


def test_a_key_is_32_bytes_and_always_the_same(opener: Opener, tmp_path: Path) -> None:
    first = opener(tmp_path)
    assert len(first.key("access-token")) == 32
    assert first.key("access-token") == first.key("access-token") == opener(tmp_path).key("access-token")


def test_every_purpose_has_its_own_key(opener: Opener, tmp_path: Path) -> None:
    vault = opener(tmp_path)
    purposes = ["access-token", "refresh-token", "local-token", "", "access-token "]
    assert len({vault.key(purpose) for purpose in purposes}) == len(purposes)


def test_two_homes_have_different_keys(tmp_path: Path) -> None:
    assert open_vault(tmp_path / "a").key("x") != open_vault(tmp_path / "b").key("x")
    assert open_vault(tmp_path, SECRET).key("x") != open_vault(tmp_path, SECRET + "!").key("x")


def test_the_key_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_vault(tmp_path)
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o777])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    open_vault(tmp_path)
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(WrongSetting, match="chmod 600"):
        open_vault(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44, b"QUJD\n", b"A" * 2000])
def test_a_damaged_key_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(WrongSetting, match="damaged"):
        open_vault(tmp_path)
    assert path.read_bytes() == content


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(WrongSetting, match="KIRA_DATA"):
        open_vault(tmp_path / "data")


def test_a_short_setting_is_refused_without_being_told(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="KIRA_MASTER_KEY") as refused:
        open_vault(tmp_path, "hunter2")
    assert "hunter2" not in refused.value.message
    assert not list(tmp_path.iterdir())


def test_a_key_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    make_key_file(path)
    first = path.read_bytes()
    make_key_file(path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def _open_and_tell(folder: Path) -> bytes:
    return open_vault(folder).key("x")


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(_open_and_tell, [tmp_path / "data"] * 12)
    assert len(set(keys)) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE_NAME]
