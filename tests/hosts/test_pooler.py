"""PgBouncer in transaction mode between Kira and PostgreSQL: wake-ups do not arrive, and nothing else is missing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from tests.bench.rig import free_port
from tests.hosts import files, rig
from tests.hosts.rig import Hosts, Postgres, Program, open_hosts, roll
from tests.hosts.traffic import traffic
from tests.hosts.users import visitor

POOLED = "the database's wake-ups do not arrive here"


@pytest.fixture(scope="module")
def hosts(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Run all of it behind PgBouncer; one instance more has the way past it, for wake-ups."""
    folder = tmp_path_factory.mktemp("pooler")
    port = free_port()
    with open_hosts(folder, postgres, KIRA_DATABASE_CONNECTIONS="20") as made:
        itself = made.database
        made.database = itself.replace(str(postgres.port), str(port))
        pgbouncer(made, port).start()
        rig.fill(made)
        made.instance(KIRA_DATABASE_DIRECT=itself)
        made.start(made.instances[-1])
        yield made


def pgbouncer(hosts: Hosts, port: int) -> Program:
    """Make PgBouncer with the very file of deploy/."""
    hosts.folder.chmod(0o711)
    users = hosts.folder / "userlist.txt"
    users.write_text(f'"kira_app" "{rig.PASSWORD}"\n')
    changes = {
        "kira = host=10.0.0.10 port=5432 dbname=kira": (
            f"{hosts.name} = host=127.0.0.1 port={hosts.postgres.port} dbname={hosts.name}"
        ),
        "listen_addr = 0.0.0.0": "listen_addr = 127.0.0.1\nunix_socket_dir =",
        "listen_port = 6432": f"listen_port = {port}",
        "/etc/pgbouncer/userlist.txt": str(users),
    }
    ini = hosts.folder / "pgbouncer.ini"
    ini.write_text(files.text_of("pgbouncer.ini", **changes))
    command = [files.tool("pgbouncer"), *(["-u", "nobody"] if os.geteuid() == 0 else []), str(ini)]
    return hosts.program("pgbouncer", command, {})


async def test_restarts_under_load_cost_nothing_behind_it_either(hosts: Hosts) -> None:
    async with traffic(hosts, 0.7) as load:
        await load.until_sent(4)
        await load.kill(hosts.workers[0])
        await asyncio.to_thread(hosts.start, hosts.workers[0])
        await load.until_sent(10)
        await roll(*hosts.instances[:2], *hosts.workers)
    assert load.all_failures() == []


def test_each_process_knows_whether_wake_ups_arrive(hosts: Hosts) -> None:
    *pooled, direct = [each.log.read_text() for each in hosts.instances]
    assert [POOLED in log for log in pooled] == [True] * 3
    assert POOLED not in direct


async def test_words_come_one_by_one_with_wake_ups_and_without(hosts: Hosts) -> None:
    words = " ".join(["word"] * 200)
    async with visitor(hosts.proxy) as user:
        for address in (hosts.addresses[0], hosts.addresses[-1]):
            run = (await user.ask(address, f"say:{words}"))["run"]["id"]
            reading = await user.read(address, run)
            assert (reading.text, reading.connections) == (words, 1)
            assert reading.kinds.count("delta") > 3
