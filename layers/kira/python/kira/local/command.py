"""The `kira` command: every subcommand with its help; the work is in `commands/`, loaded when it is used."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kira import __version__
from kira.domain.errors import KiraError

app = typer.Typer(
    help="Kira, an AI assistant for many people who share a few model slots.\n\n"
    "Start with `kira up`, then open the address it prints.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
users_app = typer.Typer(help="Add and list users; the first one turns accounts on.", no_args_is_help=True)
app.add_typer(users_app, name="users")
db_app = typer.Typer(help="Make a PostgreSQL server ready for Kira.", no_args_is_help=True)
app.add_typer(db_app, name="db")

Data = Annotated[Path | None, typer.Option("--data", help="Folder of Kira's data (KIRA_DATA).", show_default=False)]
Ollama = Annotated[str | None, typer.Option(help="Addresses of Ollama, comma-separated (KIRA_OLLAMA).")]
Slots = Annotated[int | None, typer.Option(help="Most runs at once per model server (KIRA_SLOTS).")]


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on (KIRA_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for any free one (KIRA_PORT).")] = None,
    data: Data = None,
    ollama: Ollama = None,
    model: Annotated[str | None, typer.Option(help="Model of those who chose none (KIRA_MODEL).")] = None,
    slots: Slots = None,
    accounts: Annotated[str | None, typer.Option(help="off, invite or open (KIRA_ACCOUNTS).")] = None,
    worker: Annotated[bool, typer.Option(help="Also work on runs; otherwise start `kira worker`.")] = True,
) -> None:
    """Start Kira: dashboard, API and one worker. Stop it with Ctrl+C; answers that are going are finished first.

    Every setting can also be given in the environment, as KIRA_ and its name: docs/settings.md lists them all.
    """
    from kira.local.commands.up import start

    options: dict[str, object] = {
        "host": host,
        "port": port,
        "data": data,
        "ollama": ollama,
        "model": model,
        "slots": slots,
        "accounts": accounts,
    }
    start(options, with_worker=worker)


@app.command()
def worker(data: Data = None, ollama: Ollama = None, slots: Slots = None) -> None:
    """Only work on runs, beside `kira up --no-worker` on the same data."""
    from kira.local.commands.worker import start

    start({"data": data, "ollama": ollama, "slots": slots})


@users_app.command("add")
def users_add(
    email: Annotated[str, typer.Option(help="The user's e-mail.")],
    name: Annotated[str | None, typer.Option(help="How Kira calls them.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May invite others and see counts, never contents.")] = False,
    data: Data = None,
) -> None:
    """Add a user. The password comes from KIRA_PASSWORD or is asked for.

    The first user takes over everything of the single-user mode and is an admin.
    """
    from kira.local.commands.users import add

    add(email, name, admin=admin, data=data)


@users_app.command("list")
def users_list(data: Data = None) -> None:
    """List users and when they were last here."""
    from kira.local.commands.users import show

    show(data)


@db_app.command("init")
def db_init(
    address: Annotated[str, typer.Argument(help="postgresql://... of a superuser or of the database's owner.")],
    new_key: Annotated[
        bool, typer.Option("--new-key", help="The master key was lost: begin with another; all sign in again.")
    ] = False,
) -> None:
    """Make roles and schema in a PostgreSQL database, or bring them up to date; may be done again at any time.

    Prints the address for KIRA_DATABASE. A new role gets a new password, or KIRA_PASSWORD where it is given.
    """
    from kira.local.commands.db import make_ready

    make_ready(address, new_key=new_key)


@app.command()
def chat(
    message: Annotated[str | None, typer.Argument(help="Ask this and leave; without it a conversation begins.")] = None,
    url: Annotated[str | None, typer.Option(help="Address of a running Kira; default: the one on this data.")] = None,
    model: Annotated[str | None, typer.Option(help="Model that answers.")] = None,
    data: Data = None,
) -> None:
    """Talk with a running Kira in this terminal."""
    from kira.local.commands.chat import talk

    talk(message, url=url, model=model, data=data)


@app.command()
def doctor(data: Data = None, ollama: Ollama = None) -> None:
    """Say what is configured, reachable and wrong, and what to do about it."""
    from kira.local.commands.doctor import examine

    examine({"data": data, "ollama": ollama})


@app.command()
def backup(
    target: Annotated[
        str | None,
        typer.Argument(help="File or s3://bucket/key to write; default: a dated one in KIRA_BACKUP."),
    ] = None,
    data: Data = None,
) -> None:
    """Copy everything of a running or stopped Kira to one checked file."""
    from kira.local.commands.backup import back_up

    back_up(target, data=data)


@app.command()
def restore(
    source: Annotated[str, typer.Argument(help="A file, or s3://bucket/key, that `kira backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before replacing what is there.")] = False,
    data: Data = None,
) -> None:
    """Check a backup and put it in place of what is there; what was there is kept beside it."""
    from kira.local.commands.restore import restore as put_back

    put_back(source, sure=yes, data=data)


@app.command()
def migrate(
    source: Annotated[str, typer.Argument(metavar="FROM", help="sqlite, a .sqlite file or postgresql://...")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same, and empty.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is, and about how long.")] = False,
    back: Annotated[
        bool, typer.Option("--back", help="TO is not empty: keep what it holds under another name.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Throw away what an unfinished migration copied.")] = False,
    while_running: Annotated[
        bool, typer.Option("--while-running", help="Move what FROM holds now, although a Kira goes on writing.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Rows that are kept or lost together.")] = 20_000,
    data: Data = None,
) -> None:
    """Move everything from one database to another and compare the two; FROM stays as it is.

    `sqlite` is the file in KIRA_DATA; PostgreSQL needs the address of a superuser or of the owner. What was
    stopped goes on when the same command is said again. The other way round it is the way back.
    """
    from kira.local.commands.migrate import Options, move

    move(source, target, Options(dry_run, back, anew, while_running, batch), data=data)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="File to write; .json or .md.")],
    email: Annotated[str | None, typer.Option(help="Whose conversations, where there are accounts.")] = None,
    data: Data = None,
) -> None:
    """Write one user's conversations as JSON (all branches) or Markdown (the shown branch)."""
    from kira.local.commands.export import write

    write(target, email=email, data=data)


def _version(asked: bool) -> None:
    if asked:
        print(f"kira {__version__}")
        raise typer.Exit


@app.callback()
def _kira(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Kira, an AI assistant for many people who share a few model slots."""


def main() -> None:
    """Run the command line; what went wrong is told in one sentence."""
    try:
        app()
    except KiraError as error:
        print(f"kira: {error.message}", file=sys.stderr)
        _leave(2)
    except SystemExit as ended:
        _leave(ended.code)


def _leave(code: str | int | None) -> None:
    if "obstore" not in sys.modules or isinstance(code, str):
        sys.exit(code)
    # Its threads outlive their last answer. One that comes back to an interpreter which is being taken down aborts the
    # process: a backup that is whole would end as a failed one. So this process ends with its interpreter as it is.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code or 0)
