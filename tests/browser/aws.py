"""The third home for the browser: an account on a rehearsal of AWS, and an instance of the fleet beside the models."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import psycopg
from tests.local.rig import PASSWORD
from tests.rehearsal.fleet import Worker
from tests.rehearsal.home import DATABASE, empty, of_process
from tests.rehearsal.rig import Rehearsal

PATIENCE_S = 30
AS_FOR_ONE_USER = {f"KIRA_LIMIT_{name}": "off" for name in ("API", "CONVERSATION", "WIDGET")}
"""The limits that are off at home, where a Kira has one user, and would meet a file of tests as one user here."""
NO_HOSTED = {"KIRA_HOSTED": "", "KIRA_HOSTED_MODELS": ""}
OF_FUNCTIONS = ("KIRA_LIMIT_",)


@dataclass(frozen=True)
class Account:
    """One user of the Kira of this process; `begin` lets the fleet be as the user's home wants it."""

    email: str
    models: str
    settings: Mapping[str, str]

    @property
    def address(self) -> str:
        """The front door, which is that of all."""
        return of_process().address

    @property
    def way_in(self) -> tuple[str, dict[str, str]]:
        """What is posted where to sign in."""
        return "/api/auth/sign-in", {"email": self.email, "password": PASSWORD}

    def begin(self) -> None:
        """Let an instance with this home's settings work, beside this home's model server and nowhere else."""
        _fleet.be(of_process(), self.models, self.settings)


@dataclass
class Fleet:
    """The one instance that works at a time."""

    worker: Worker | None = None
    serves: object = None

    def be(self, found: Rehearsal, models: str, settings: Mapping[str, str]) -> None:
        """Work at `models`; whoever worked elsewhere, or knew other models there, is replaced."""
        wanted = (models, tuple(sorted(settings.items())), _listed(models))
        if self.serves == wanted:
            return
        self.end(found)
        told = {name: value for name, value in settings.items() if name.startswith(OF_FUNCTIONS)}
        own = {name: value for name, value in settings.items() if name not in told}
        # Functions remember for a while which models there are.
        found.functions.configure(NO_HOSTED | AS_FOR_ONE_USER | told, known=wanted)
        self.worker = found.start_worker(models, **(own | {"KIRA_GRACE_S": "0"}))
        _until_told(found, self.worker)
        self.serves = wanted

    def end(self, found: Rehearsal) -> None:
        """Let nobody work, and nobody be believed to."""
        self.serves = None
        if self.worker is not None:
            self.worker.stop()
            empty(found, "workers")


_fleet = Fleet()
_open: list[Account] = []
_numbers = count(1)


@contextmanager
def account_up(models: str, settings: Mapping[str, str]) -> Iterator[Account]:
    """Keep an account at a Kira whose models are at `models`; it goes with all that is its own when the block ends."""
    found = of_process()
    if not _open:
        empty(found)
        _fleet.end(found)
    empty(found, "attempts")  # a home of its own has counted none
    account = Account(f"user-{next(_numbers)}@example.org", models, dict(settings))
    account.begin()
    _sign_up(account)
    _open.append(account)
    try:
        yield account
    finally:
        _open.remove(account)
        _forget(found, account)


def _sign_up(account: Account) -> None:
    body = json.dumps({"email": account.email, "password": PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{account.address}/api/auth/sign-up", body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        assert response.status == 201


def _listed(models: str) -> object:
    """Return what the model server says it has."""
    with urllib.request.urlopen(f"{models}/api/tags", timeout=PATIENCE_S) as response:
        return response.read()


def _until_told(found: Rehearsal, worker: Worker) -> None:
    """Wait until the instance has said which models there are."""
    end = time.monotonic() + PATIENCE_S
    with psycopg.connect(found.cluster.own(DATABASE), autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM kira.workers").fetchone() is None:
            assert time.monotonic() < end, worker.told()
            time.sleep(0.02)


def _forget(found: Rehearsal, account: Account) -> None:
    with psycopg.connect(found.cluster.own(DATABASE), autocommit=True) as connection:
        connection.execute("DELETE FROM kira.users WHERE email = %s", (account.email,))
