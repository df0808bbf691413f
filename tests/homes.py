"""The home that a test run puts everything on: a file in a folder, or a database on a real PostgreSQL server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from tests.engines import Postgres

from kira.adapters.database.postgres import PostgresConfig
from kira.adapters.database.postgres import create_database as create_postgres
from kira.adapters.database.sqlite import SqliteConfig
from kira.adapters.database.sqlite import create_database as create_sqlite
from kira.ports.database import Database

HOMES = ("sqlite", "postgres", "aws")

ONLY_HERE = {
    "adapters/database/postgres": "postgres",
    "adapters/database/test_replica.py": "postgres",
    "adapters/database/test_replica_away.py": "postgres",
    "cdk": "aws",
    "cloud": "aws",
    "contracts/test_host.py": "aws",
    "fleet": "aws",
    "functions": "aws",
    "hosts": "postgres",
    "rehearsal": "aws",
}
"""What is about one home alone. All else runs on the first, and so does this where nobody names a home."""

SERVER_FOLDERS = ("api", "browser", "contracts", "faults", "jobs", "local", "services", "simulation", "web")
"""What runs on a server too; in most other folders no test has a home, or each names its engines itself."""

NOT_ON_A_SERVER = {
    "contracts/test_alarm.py": "has no database",
    "contracts/test_clock.py": "has no database",
    "contracts/test_database.py": "names its engines itself",
    "contracts/test_database_promises.py": "names its engines itself",
    "contracts/test_engine.py": "has no database",
    "contracts/test_isolation.py": "names its engines itself",
    "contracts/test_mail.py": "has no database",
    "contracts/test_objects.py": "has no database",
    "contracts/test_roster.py": "names its engines itself",
    "contracts/test_row_security.py": "names its engines itself",
    "contracts/test_search.py": "names its engines itself",
    "contracts/test_stream.py": "has no database",
    "contracts/test_shelf.py": "has no database",
    "contracts/test_vault.py": "has no database",
    "faults/test_disk.py": "a disk that is full or cannot be written under the file; a full server says DISK_FULL by "
    "its SQLSTATE, which the adapter's own tests provoke",
    "faults/test_kill.py::test_the_file_is_sound": "asks SQLite whether its file is whole",
    "local/test_backup.py": "backups are copies of the file",
    "local/test_client.py": "has no database",
    "local/test_command.py": "starts, locks and settings, before any database",
    "local/test_doctor.py": "looks at the file and the folder it lies in",
    "local/test_doctor_backups.py": "backups are copies of the file",
    "local/test_drill.py": "restores copies of the file",
    "local/test_migrate.py": "names its engines itself",
    "local/test_postgres.py": "names its engines itself",
    "local/test_schedule.py": "backups are copies of the file",
    "local/test_export.py::test_what_is_exported_does_not_fill_the_memory": "measures by the size of the file",
    "local/test_settings.py": "has no database",
    "local/test_terminal.py": "has no database",
}
"""Tests of SERVER_FOLDERS that belong to the file's run alone, with the reason; tests/house/test_homes.py keeps it."""

AWS_FOLDERS = ("api", "browser")
"""What runs on a rehearsal of AWS too."""

AWS_FILES = ("contracts/test_isolation.py", "contracts/test_row_security.py")
"""What runs there of other folders: who sees what, asked of a database that a deploy made. The rest of contracts is
about adapters, which a deploy does not change."""

NOT_ON_AWS = {
    "api/test_bad_input.py::test_a_length_that_is_none_is_refused": "CloudFront reads lengths before Kira",
    "api/test_bad_input.py::test_a_defect_is_told_without_a_word_of_the_inside": "puts a route into the process",
    "api/test_intruders.py::test_an_access_token_expires_to_the_second_and_says_so": "sets the clock",
    "api/test_intruders.py::test_no_path_leads_out_of_the_dashboard": "has a dashboard of its own",
    "api/test_intruders.py::test_the_dashboard_is_read_and_nothing_else": "has a dashboard of its own",
    "api/test_intruders.py::test_a_user_may_hold_so_many_streams_and_gets_each_seat_back": "each stream there has an "
    "environment for itself, and so many are more than one computer holds",
    "api/test_intruders.py::test_ten_thousand_attempts_of_one_user_take_nothing_from_the_others": "counts the tasks "
    "and the seats of one process",
    "api/test_limits.py::test_the_conversation_limit_is_exact_and_tells_the_true_wait": "sets the clock",
    "api/test_limits.py::test_the_api_limit_is_exact_and_every_answer_says_what_is_left": "sets the clock",
    "api/test_limits.py::test_what_the_api_limit_refuses_does_not_happen": "sets the clock",
    "api/test_matrix.py::test_a_route_answers_each_role_as_it_should[GET /metrics]": "CloudWatch counts there",
    "api/test_schema.py::test_every_generated_request_is_answered_as_the_document_says[GET /metrics]": "CloudWatch "
    "counts there",
    "api/test_seats.py::test_of_many_streams_that_are_opened_at_once_so_many_keep_a_seat": "opens more at once than "
    "one computer holds there",
    "api/test_seats.py::test_a_stream_that_ends_leaves_its_seat": "counts in the database",
    "api/test_seats.py::test_a_stream_breaks_off_without_an_end_when_its_reader_may_not_read_on": "changes rows",
    "api/test_widgets.py::test_of_refreshes_at_two_instances_one_is_made_and_all_get_it": "in the test before, each "
    "request has an instance there",
    "api/test_widgets.py::test_a_refresh_whose_instance_is_gone_is_made_by_another": "sets the clock",
    "api/test_widgets.py::test_a_fresh_widget_is_not_made_again_and_takes_nothing_from_the_limit": "sets the clock",
    "api/test_widgets.py::test_the_widget_limit_is_exact_and_tells_the_true_wait": "sets the clock",
    "browser/test_delivery.py::test_files_come_packed_as_the_browser_can_take_them": "CloudFront packs what lies there",
    "browser/test_keyboard.py": "keys are the page's own affair, and the page is the same file there",
    "browser/test_looks.py": "pictures of pages, which are the same files there",
    "browser/test_offline.py::test_a_kira_that_is_started_again_is_found_again": "stops the server",
    "browser/test_sign_in.py::test_a_wrong_token_is_told_and_nothing_is_lost": "no link is printed there",
    "browser/test_sign_in.py::test_the_printed_link_signs_in_and_its_token_leaves_the_address": "none is printed there",
    "browser/test_sign_in.py::test_without_the_link_the_page_says_what_to_open_and_takes_it": "none is printed there",
}
"""Tests of AWS_FOLDERS that cannot, with the reason."""

_chosen = HOMES[0]
_is_named = False
_server = Postgres("postgres")
_free: list[Path] = []
_lent: dict[Path, Path] = {}
"""The server's databases bear the names of the folders they were made for; each is lent to one folder at a time."""


# A Kira that a test killed may have left a statement behind that still runs.
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
TABLES = ("users", "run_events", "invitations", "attempts", "findings", "workers", "marks")
"""What belongs to nobody, and the users, with whom goes what is theirs."""
# Deleting is far quicker here than TRUNCATE, which makes new files for every table and index.
_EMPTY = b";".join(b"DELETE FROM kira." + table.encode() for table in TABLES)


class Direct(Protocol):
    """A way to rows past every wall, for what a test prepares and what it looks at; `?` stands for a value."""

    def execute(self, sql: str, params: Sequence[object] = ()) -> Any:
        """Run one statement."""

    def executemany(self, sql: str, params: Iterable[Sequence[object]]) -> Any:
        """Run one statement for each of `params`."""


def choose(home: str | None) -> None:
    """Put what follows on `home`, or on the first one where none is named."""
    # Not in the environment: tests of the command empty that of everything that is Kira's.
    global _chosen, _is_named
    _chosen, _is_named = home or HOMES[0], home is not None


def is_aws() -> bool:
    """Say whether this run is on a rehearsal of AWS."""
    return _chosen == "aws"


def is_server() -> bool:
    """Say whether this run is on a server."""
    return _chosen == "postgres"


def belongs(node: str) -> bool:
    """Say whether the test `node` (its path below tests/, then its names) is part of a run on the chosen home."""
    path, _, name = node.partition("::")
    if only := next((home for place, home in ONLY_HERE.items() if path == place or path.startswith(f"{place}/")), None):
        return not _is_named or only == _chosen
    if not is_server() and not is_aws():
        return True
    folders, left_out = (AWS_FOLDERS, NOT_ON_AWS) if is_aws() else (SERVER_FOLDERS, NOT_ON_A_SERVER)
    is_left_out = bool({path, node, f"{path}::{name.partition('[')[0]}"} & left_out.keys())
    is_meant = path.partition("/")[0] in folders or (is_aws() and path in AWS_FILES)
    return is_meant and not is_left_out


def give_back(folder: Path) -> None:
    """Empty the databases that were lent to what lies in `folder`, so that other tests may have them.

    Making a database takes as long as a whole test; emptying one takes a few milliseconds.
    """
    for lent in [each for each in _lent if each.is_relative_to(folder)]:
        made_for = _lent.pop(lent)
        with psycopg.connect(_server.address(made_for, "postgres"), autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            connection.execute(_EMPTY)
        _free.append(made_for)


def open_database(path: Path, **config: Any) -> Database:
    """Open the database of the file `path`, or of its folder on the server; `config` is a file's own."""
    if is_server():
        return create_postgres(PostgresConfig(_address(path), connections=4, connections_kept=1))
    return create_sqlite(SqliteConfig(path, **config))


def settings(data: Path) -> dict[str, str]:
    """Return what a command on the folder `data` needs in its environment."""
    if not is_server():
        return {}
    parts = conninfo_to_dict(_address(data))
    where = urlencode({"host": parts["host"], "port": parts["port"]})
    return {"KIRA_DATABASE": f"postgresql://{parts['user']}@/{parts['dbname']}?{where}"}


def look(path: Path, sql: str, *params: object) -> list[tuple[Any, ...]]:
    """Read from the database of `path`."""
    if is_server():
        with direct(path) as rows:
            return list(rows.execute(sql, params).fetchall())
    file = path if path.suffix else path / "kira.sqlite"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, params).fetchall()


@contextmanager
def direct(path: Path) -> Iterator[Direct]:
    """Open a way past every wall to the database of `path`; what it did is kept when the block ends well."""
    if is_server():
        with psycopg.connect(_address(path, "postgres"), options="-c search_path=kira") as connection:
            yield _Server(connection)
        return
    with closing(sqlite3.connect(path)) as file, file:
        yield file


class _Server:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[object] = ()) -> Any:
        return self._connection.execute(_placed(sql), params)

    def executemany(self, sql: str, params: Iterable[Sequence[object]]) -> Any:
        with self._connection.cursor() as cursor:
            cursor.executemany(_placed(sql), params)


def _placed(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _address(path: Path, user: str = "kira_app") -> str:
    folder = path.parent if path.name == "kira.sqlite" else path
    if folder not in _lent:
        _lent[folder] = _free.pop() if _free else folder
    return _server.address(_lent[folder], user)
