"""The parts of boot on their own: weights, sums, settings, units, health."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fleet.cloud import Cloud
from tests.fleet.instance import ARCHIVE, DEPLOY, PLACE, VERSION, Instance

from kira.cloud.fleet import health, programs, slots, weights
from kira.cloud.fleet.boot import SERVICES
from kira.cloud.fleet.parameters import Parameters, read_environment, read_parameters, write_environment
from kira.cloud.fleet.settings_file import GRACE_SECONDS, write_settings
from kira.cloud.fleet.store import NotReady, Store
from kira.domain.errors import WrongSetting
from kira.testing.model_server import ModelServer

DATABASE = {"username": "kira_app", "password": "p@ss:/?#", "host": "db.example", "port": "5432", "name": "kira"}
KEY = 'a key with "quotes", a \\ and a #'


@pytest.fixture
def instance(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    made = Instance(tmp_path, cloud)
    made.furnish(DATABASE, KEY)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def given(instance: Instance) -> Parameters:
    return read_parameters(instance.root, instance.cloud.endpoint)


@pytest.fixture
def store(given: Parameters) -> Store:
    return Store(given.weights, given.region)


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("llama3.1:8b", "manifests/registry.ollama.ai/library/llama3.1/8b"),
        ("llama3.1", "manifests/registry.ollama.ai/library/llama3.1/latest"),
        ("somebody/model:q4", "manifests/registry.ollama.ai/somebody/model/q4"),
        ("example.org/somebody/model:q4", "manifests/example.org/somebody/model/q4"),
    ],
)
def test_models_lie_where_ollama_looks(model: str, place: str) -> None:
    assert weights.manifest_of(model) == place


def test_weights_are_copied_once_and_again_where_a_part_is_missing(
    instance: Instance, given: Parameters, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    to = given.nvme / "models"
    weights.copy(store, "test:latest", to)
    assert (to / PLACE).is_file()
    told = len(instance.cloud.told)
    weights.copy(store, "test:latest", to)
    assert len(instance.cloud.told) == told + 1, "only the manifest is read again"
    lost = max((to / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = lost.read_bytes()
    lost.write_bytes(whole[:1000])
    weights.copy(store, "test:latest", to)
    assert lost.read_bytes() == whole
    assert "0 of 0 MiB" in capsys.readouterr().out


def test_weights_that_were_changed_are_refused(instance: Instance, given: Parameters, store: Store) -> None:
    keys = [each["Key"] for each in instance.cloud.client("s3").list_objects_v2(Bucket=instance.bucket)["Contents"]]
    for key in keys:
        if "/blobs/" in key:
            instance.put(key, b"something else")
    with pytest.raises(NotReady, match="is not what was promised"):
        weights.copy(store, "test:latest", given.nvme / "models")
    assert not (given.nvme / "models" / PLACE).exists()
    assert not any((given.nvme / "models/blobs").iterdir())


def test_an_ollama_of_another_sum_is_not_unpacked(instance: Instance, given: Parameters, store: Store) -> None:
    instance.put(f"fleet/{ARCHIVE}", b"something else")
    with pytest.raises(NotReady, match=r"ollama-linux-amd64\.tgz is not what was promised"):
        programs.install_ollama(store, VERSION, given.root / "opt/ollama")
    assert not any((given.root / "opt/ollama").iterdir())


def test_an_ollama_is_unpacked_once_and_again_for_another_version(given: Parameters, store: Store) -> None:
    to = given.root / "opt/ollama"
    assert programs.install_ollama(store, VERSION, to)
    assert (to / "bin/ollama").is_file()
    assert not programs.install_ollama(store, VERSION, to)
    with pytest.raises(NotReady, match=r"ollama/0\.99\.0/sha256sum\.txt"):
        programs.install_ollama(store, "0.99.0", to)


def test_settings_are_for_root_alone_and_secrets_survive_their_characters(given: Parameters, store: Store) -> None:
    write_settings(given, store)
    path = given.settings / "worker.env"
    said = read_environment(path)
    assert path.stat().st_mode & 0o077 == 0
    assert said["KIRA_DATABASE"] == "postgresql://kira_app:p%40ss%3A%2F%3F%23@db.example:5432/kira?sslmode=require"
    assert said["KIRA_MASTER_KEY"] == KEY
    assert (said["KIRA_QUEUE"], said["OLLAMA_NUM_PARALLEL"]) == (given.queue, "1")


def test_a_password_that_was_changed_is_in_the_next_settings(
    instance: Instance, given: Parameters, store: Store
) -> None:
    write_settings(given, store)
    text = '{"username": "kira_app", "password": "another"}'
    instance.cloud.client("secretsmanager").put_secret_value(SecretId=given.database_secret, SecretString=text)
    write_settings(given, store)
    assert ":another@" in read_environment(given.settings / "worker.env")["KIRA_DATABASE"]


def test_a_secret_that_is_no_login_is_named(instance: Instance, given: Parameters, store: Store) -> None:
    for text in ("[1]", "{}", "word"):
        instance.cloud.client("secretsmanager").put_secret_value(SecretId=given.database_secret, SecretString=text)
        with pytest.raises(NotReady, match=re.escape(given.database_secret)):
            write_settings(given, store)


def test_a_parameter_that_is_missing_is_named(instance: Instance) -> None:
    del instance.parameters["KIRA_WEIGHTS"]
    instance.write_parameters()
    with pytest.raises(WrongSetting, match="has no KIRA_WEIGHTS"):
        read_parameters(instance.root, None)


@pytest.mark.parametrize(("mib", "found"), [(22_888, 16), (5_000, 4), (2_500, None)])
async def test_slots_follow_from_the_card(given: Parameters, mib: int, found: int | None) -> None:
    async with ModelServer() as server:
        on = replace(given, ollama=server.address, vram_mib=mib)
        if found is None:
            with pytest.raises(NotReady, match="does not fit on a card of 2,500 MiB"):
                await _in_thread(lambda: slots.slots_of(on))
        else:
            assert await _in_thread(lambda: slots.slots_of(on)) == found


async def test_an_instance_that_is_unwell_for_long_is_replaced(instance: Instance, given: Parameters) -> None:
    pids = instance.root / "run/systemctl"
    pids.mkdir(parents=True)
    async with ModelServer() as server:
        well = replace(given, ollama=server.address)
        for _ in range(health.MISSES_MAX - 1):
            assert await _in_thread(lambda: health.look(well)) == "The worker does not run."
        (pids / "kira-worker").write_text("1")
        assert await _in_thread(lambda: health.look(well)) is None
    for _ in range(health.MISSES_MAX - 1):
        assert "Ollama does not answer" in str(await _in_thread(lambda: health.look(well)))
    with pytest.raises(NotReady, match="Ollama does not answer"):
        health.look(well)


def test_units_say_what_boot_counts_with() -> None:
    ollama = (DEPLOY / "ollama.service").read_text()
    said = dict(re.findall(r"^Environment=(\w+)=(.*)$", ollama, re.MULTILINE))
    assert (said["OLLAMA_CONTEXT_LENGTH"], said["OLLAMA_KV_CACHE_TYPE"]) == (str(slots.CONTEXT), slots.KV_TYPE)
    assert (said["OLLAMA_MAX_LOADED_MODELS"], said["OLLAMA_KEEP_ALIVE"], said["OLLAMA_NO_CLOUD"]) == ("1", "-1", "1")
    assert all((DEPLOY / name).is_file() for name in SERVICES)
    worker = (DEPLOY / "kira-worker.service").read_text()
    assert int(re.findall(r"TimeoutStopSec=(\d+)", worker)[0]) > GRACE_SECONDS
    assert "Restart=on-failure" in worker, "a worker that left stays away"


def test_the_worker_is_confined_as_on_several_hosts() -> None:
    several = (DEPLOY.parent / "kira-worker.service").read_text()
    hardening = several[several.index("DynamicUser") :]
    assert hardening in (DEPLOY / "kira-worker.service").read_text()


def test_an_environment_is_read_as_it_was_written(tmp_path: Path) -> None:
    values = {"ONE": KEY, "TWO": "", "THREE": "plain", "FOUR": "$HOME `x`"}
    write_environment(tmp_path / "some.env", values)
    assert read_environment(tmp_path / "some.env") == values


async def _in_thread(do: Callable[[], object]) -> object:
    return await asyncio.to_thread(do)
