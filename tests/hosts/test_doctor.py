"""`kira doctor` against a server: it says what is there, and what to do about what is wrong."""

from __future__ import annotations

from pathlib import Path

import psycopg
from tests.bench.rig import free_port
from tests.engines import fresh, server, standby
from tests.hosts.rig import PASSWORD, Hosts, Postgres
from tests.local.rig import Done, kira

from kira.adapters.database.postgres.embedded import Embedded


def doctor(data: Path, address: str, **settings: str) -> Done:
    """Run it with nothing else to look at."""
    return kira(data, "doctor", KIRA_DATABASE=address, **({"KIRA_PORT": "0"} | settings))


def line(done: Done, name: str) -> str:
    """Return what it says of `name`, put together from its lines."""
    (found,) = [at for at, text in enumerate(done.out.splitlines()) if text[9:].startswith(f"{name}: ")]
    lines = done.out.splitlines()[found:]
    more = next((at for at, text in enumerate(lines[1:], 1) if ": " in text[9:40] and text[0] != " "), len(lines))
    return " ".join(" ".join(lines[:more]).split())


def test_all_is_well_where_hosts_run(hosts: Hosts, tmp_path: Path) -> None:
    key = hosts.shared["KIRA_MASTER_KEY"]
    done = doctor(tmp_path / "data", hosts.database, KIRA_MASTER_KEY=key, KIRA_OLLAMA=hosts.models[0].address)
    assert (done.code, done.err) == (0, "")
    assert line(done, "database").startswith("ok database: PostgreSQL 18, schema step")
    assert "from each process" in line(done, "database")
    assert line(done, "workers").startswith("ok workers: 2 workers with 6 slots; they serve test:latest")
    assert line(done, "wake-ups").startswith("ok wake-ups: arrive")
    assert line(done, "master key").startswith("ok")
    assert PASSWORD not in done.out
    assert not (tmp_path / "data").exists()


def test_a_host_with_another_key_is_told_and_does_not_start(hosts: Hosts, tmp_path: Path) -> None:
    other = {"KIRA_DATABASE": hosts.database, "KIRA_MASTER_KEY": "x" * 43, "KIRA_PORT": "0"}
    done = doctor(tmp_path, hosts.database, KIRA_MASTER_KEY="x" * 43)
    assert done.code == 1
    assert line(done, "master key").startswith("wrong master key: The master key here is not the one")
    for command in (["up", "--no-worker"], ["worker"]):
        refused = kira(tmp_path, *command, **other)
        assert refused.code == 2
        assert "Give every host the same KIRA_MASTER_KEY" in refused.err


def test_what_keeps_it_from_the_server_is_told(postgres: Postgres, tmp_path: Path) -> None:
    wrong = doctor(tmp_path, f"postgresql://kira_app:wrong@127.0.0.1:{postgres.port}/postgres")
    assert wrong.code == 1
    assert "password authentication failed" in line(wrong, "database")
    nobody = doctor(tmp_path, f"postgresql://kira_app:x@127.0.0.1:{free_port()}/kira")
    assert nobody.code == 1
    assert "Check that PostgreSQL runs and that the address is right." in line(nobody, "database")
    above = doctor(tmp_path, postgres.own("postgres"))
    assert above.code == 1
    assert "above row security" in line(above, "database")


def test_a_schema_that_is_too_old_is_told(postgres: Postgres, tmp_path: Path) -> None:
    address = postgres.make("old")
    with psycopg.connect(postgres.own("old"), autocommit=True) as connection:
        connection.execute("DELETE FROM kira.schema_steps")
    done = doctor(tmp_path, address)
    assert done.code == 1
    assert "The database lacks step 1 of the schema. Run `kira db init ADDRESS`" in line(done, "database")


def test_without_workers_it_says_that_runs_wait(postgres: Postgres, tmp_path: Path) -> None:
    done = doctor(tmp_path, postgres.make("fresh"))
    assert line(done, "workers").startswith("warning workers: none, so runs wait")
    assert line(done, "master key").startswith("warning master key: none: this host would make one of its own")


def test_a_replica_is_told_with_its_state(tmp_path: Path) -> None:
    own, _ = fresh("postgres")
    name = psycopg.conninfo.conninfo_to_dict(own)["dbname"]

    def url(of: Embedded) -> str:
        return f"postgresql://kira_app@/{name}?host={of.socket_folder}&port={of.port}"

    here = url(server("postgres"))
    follows = doctor(tmp_path, here, KIRA_DATABASE_READ=url(standby()))
    assert line(follows, "replica").startswith("ok replica: answers lists, search and usage; what was written arrived")
    away = doctor(tmp_path, here, KIRA_DATABASE_READ=f"postgresql://kira_app@127.0.0.1:{free_port()}/kira")
    assert "warning replica: " in line(away, "replica")
    assert "KIRA_DATABASE answers everything" in away.out
    assert not [text for text in doctor(tmp_path, here).out.splitlines() if "replica: " in text]
