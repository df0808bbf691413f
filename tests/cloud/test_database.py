"""The database of a function: it proves who it is, its password may be rotated, and it may sleep or fall silent."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.aws import MASTER_KEY, Aws
from tests.bench.rig import free_port
from tests.bouncer import Bouncer
from tests.engines import folder_of_server, fresh, server
from tests.hosts.files import tool
from tests.wire import wire

from kira.adapters.database.postgres import PostgresConfig, open_asleep
from kira.cloud.settings import read
from kira.cloud.world import Cloud
from kira.domain.errors import Unavailable, WrongSetting

FIRST, SECOND = "first password", "second password"
TLS = (
    "listen_addr = 127.0.0.1",
    "auth_type = plain",
    "client_tls_sslmode = require",
    "client_tls_key_file = {folder}/key",
    "client_tls_cert_file = {folder}/cert",
)


@dataclass
class Guarded:
    """A server that demands TLS and a password, under a name that its certificate bears."""

    bouncer: Bouncer
    port: int
    database: str
    cert: Path
    aws: Aws
    secret: str

    def world(self, **more: str) -> Cloud:
        """Return the world of a function in front of it."""
        given = {
            **self.aws.settings,
            "KIRA_DATABASE_HOST": "localhost",
            "KIRA_DATABASE_PORT": str(self.port),
            "KIRA_DATABASE_NAME": self.database,
            "KIRA_DATABASE_SECRET": self.secret,
            "KIRA_DATABASE_CA": str(self.cert),
            "KIRA_MASTER_KEY_SECRET": self.aws.secret(MASTER_KEY),
        }
        return Cloud(read(given | more))

    def rotate(self, password: str) -> None:
        """Change the password at the server and in the secret, as a rotation does."""
        self.bouncer.let_in("kira_app", password)
        text = json.dumps({"username": "kira_app", "password": password})
        self.aws.client("secretsmanager").put_secret_value(SecretId=self.secret, SecretString=text)


@pytest.fixture
def guarded(aws: Aws, tmp_path: Path) -> Iterator[Guarded]:
    _, address = fresh("postgres16")
    folder, port = folder_of_server() / "pool", free_port()
    cert = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert"), "-subj", "/CN=localhost", "-days", "2"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    command = [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", *cert, *names]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("key", "cert"):
        (tmp_path / name).chmod(0o644)
    tmp_path.parent.chmod(0o755)
    lines = [line.replace("{folder}", str(folder.parent)) for line in TLS]
    for name in ("key", "cert"):
        (folder.parent / name).write_bytes((tmp_path / name).read_bytes())
    bouncer = Bouncer(folder, server("postgres16").socket_folder, ("kira_app",), *lines, port=port)
    secret = aws.secret(json.dumps({"username": "kira_app", "password": FIRST}))
    made = Guarded(bouncer, port, str(conninfo_to_dict(address)["dbname"]), tmp_path / "cert", aws, secret)
    made.rotate(FIRST)
    yield made
    bouncer.stop()


async def knows(world: Cloud) -> bool:
    """Ask the database something."""
    return bool(await world.database.system.query("accounts.exist"))


async def until_it_knows(world: Cloud) -> bool:
    """Ask until there is an answer: what was rotated a moment ago may not be everywhere."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await knows(world)
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_rotated_password_is_fetched_again(guarded: Guarded) -> None:
    world = guarded.world()
    assert await until_it_knows(world)
    guarded.rotate(SECOND)
    await world.database.close()
    again = guarded.world()
    again.secrets._kept[guarded.secret] = json.dumps({"password": FIRST})  # what an environment fetched long ago
    assert await until_it_knows(again)
    assert again.secrets.field(guarded.secret, "password") == SECOND
    await again.database.close()


async def test_whoever_cannot_prove_to_be_the_server_is_told_nothing(guarded: Guarded, aws: Aws) -> None:
    for more in ({"KIRA_DATABASE_HOST": "127.0.0.1"}, {"KIRA_DATABASE_CA": str(guarded.cert.with_name("none"))}):
        world = guarded.world(**more)
        config = replace(world.database.pool.config, wait_s=0.5, wake_s=0.1)
        database = open_asleep(config)
        with pytest.raises(Unavailable):
            await database.system.query("accounts.exist")
        await database.close()


async def test_without_a_secret_a_token_is_the_password(guarded: Guarded) -> None:
    world = guarded.world(KIRA_DATABASE_SECRET="")
    sign_in = world.database.pool.config.sign_in
    assert sign_in is not None
    token = await sign_in.password()
    assert token.startswith(
        f"localhost:{guarded.port}/?Action=connect&DBUser=kira_app&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    )
    await world.database.close()


async def test_a_server_that_sleeps_is_waited_for() -> None:
    _, address = fresh("postgres16")
    folder = folder_of_server()
    parts = conninfo_to_dict(address)
    far = f"host={folder} port=5432 dbname={parts['dbname']} user=kira_app"
    asleep = open_asleep(PostgresConfig(far, 2, connections_kept=0, wait_s=0.3, wake_s=0.2))
    with pytest.raises(Unavailable, match="waking up") as told:
        await asleep.system.query("accounts.exist")
    assert told.value.retry_after_s == 5
    patient = open_asleep(PostgresConfig(far, 2, connections_kept=0, wait_s=20, wake_s=20))
    asked = asyncio.create_task(patient.system.query("accounts.exist"))
    await asyncio.sleep(0.1)
    assert not asked.done()
    async with wire(server("postgres16").socket_folder, folder):
        assert await asked
        assert await asleep.system.query("accounts.exist"), "who was refused asks again"
        await patient.close()
        await asleep.close()


async def test_a_connection_that_fell_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies between forgets a connection that idles without telling either side."""
    monkeypatch.setattr("kira.adapters.database.postgres.pool.IDLE_SECONDS", 0.0)
    monkeypatch.setattr("kira.adapters.database.postgres.pool.TRY_SECONDS", 0.2)
    _, address = fresh("postgres16")
    folder = folder_of_server()
    far = f"host={folder} port=5432 dbname={conninfo_to_dict(address)['dbname']} user=kira_app"
    async with wire(server("postgres16").socket_folder, folder) as between:
        database = open_asleep(PostgresConfig(far, 2, connections_kept=0, wait_s=10))
        assert await database.system.query("accounts.exist")
        between.fall_silent()
        assert await database.system.query("accounts.exist")
        await database.close()


@pytest.mark.parametrize("how", ["superuser", "empty"])
async def test_a_server_that_is_not_to_be_trusted_is_refused_when_it_is_first_used(how: str) -> None:
    own, address = fresh("postgres16")
    with psycopg.connect(own, autocommit=True) as past:
        if how == "empty":
            past.execute("DROP SCHEMA kira CASCADE")
    database = open_asleep(PostgresConfig(own if how == "superuser" else address, 2))
    try:
        for _ in range(2):
            with pytest.raises(WrongSetting, match="row security" if how == "superuser" else "made ready"):
                await database.system.query("accounts.exist")
    finally:
        await database.close()
