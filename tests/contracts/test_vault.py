"""Every vault gives each purpose a key of its own, and opens a secret for its user and purpose only."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.aws import aws_server

from kira.adapters.vault.keyfile import FILE_NAME, make_key_file, open_vault, vault_of
from kira.adapters.vault.kms import KmsVault
from kira.adapters.vault.sealing import Sealing
from kira.cloud.aws import Aws as CloudAws
from kira.cloud.settings import read
from kira.domain.errors import Invalid, WrongSetting
from kira.domain.ids import new_id
from kira.ports.vault import Vault
from kira.testing.vault import MemoryVault

SECRET = "a setting that is long enough to be a key"
AYA, BEN = new_id(), new_id()
Opener = Callable[[Path], Vault]


@pytest.fixture(scope="module")
def kms() -> Iterator[Opener]:
    """Vaults below one key of KMS."""
    with aws_server() as server:
        key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
        ask = CloudAws(read(server.settings)).ask
        yield lambda folder: KmsVault(vault_of(SECRET, "it"), ask, key, Sealing)


@pytest.fixture(params=["file", "setting", "memory", "kms"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "kms":
        found: Opener = request.getfixturevalue("kms")
        return found
    openers: dict[str, Opener] = {
        "file": lambda folder: open_vault(folder, sealer=Sealing),
        "setting": lambda folder: open_vault(folder, SECRET, Sealing),
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


async def test_a_secret_is_opened_for_its_user_and_purpose(opener: Opener, tmp_path: Path) -> None:
    vault = opener(tmp_path)
    for secret in (b"", b"a key of a provider", bytes(range(256)) * 100):
        sealed = await vault.seal(AYA, "provider key", secret)
        assert await vault.open(AYA, "provider key", sealed) == secret
        assert await opener(tmp_path).open(AYA, "provider key", sealed) == secret, "the next start opens it too"
        assert sealed != await vault.seal(AYA, "provider key", secret)
        assert not secret or secret not in sealed


async def test_it_is_opened_for_nobody_else_and_nothing_else(opener: Opener, tmp_path: Path) -> None:
    vault = opener(tmp_path)
    sealed = await vault.seal(AYA, "provider key", b"hunter2")
    for user, purpose in ((BEN, "provider key"), (AYA, "token"), (AYA + ":", "provider key"), ("", ""), (AYA, "")):
        with pytest.raises(Invalid, match="cannot be opened"):
            await vault.open(user, purpose, sealed)
    other = await vault.seal("a", "b:c", b"hunter2")
    with pytest.raises(Invalid):
        await vault.open("a:b", "c", other)


async def test_what_was_changed_is_not_opened(opener: Opener, tmp_path: Path) -> None:
    vault = opener(tmp_path)
    sealed = await vault.seal(AYA, "provider key", b"hunter2")
    places = {*range(0, len(sealed), 7), 0, 1, 2, len(sealed) - 1}
    for place in places:
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Invalid) as refused:
            await vault.open(AYA, "provider key", bytes(changed))
        assert "hunter2" not in refused.value.message
    for cut in (b"", sealed[:1], sealed[:20], sealed[:-1], sealed + b"x", b"hunter2"):
        with pytest.raises(Invalid):
            await vault.open(AYA, "provider key", cut)


async def test_another_home_does_not_open_it(tmp_path: Path) -> None:
    sealed = await open_vault(tmp_path / "a", sealer=Sealing).seal(AYA, "x", b"hunter2")
    with pytest.raises(Invalid):
        await open_vault(tmp_path / "b", sealer=Sealing).open(AYA, "x", sealed)


async def test_without_the_library_nothing_is_sealed_and_keys_still_come(tmp_path: Path) -> None:
    vault = open_vault(tmp_path)
    assert len(vault.key("x")) == 32
    with pytest.raises(WrongSetting, match="pip install"):
        await vault.seal(AYA, "x", b"hunter2")


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
