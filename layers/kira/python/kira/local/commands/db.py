"""`kira db`: make a PostgreSQL server ready, from an address that may do that."""

from __future__ import annotations

from kira.adapters.database.postgres.init import init
from kira.adapters.database.postgres.steps import steps
from kira.domain.errors import WrongSetting
from kira.local import terminal
from kira.local.settings import SERVERS, read


def make_ready(address: str, *, new_key: bool) -> None:
    """Make roles and schema at `address` and print what KIRA_DATABASE is to be. Raises WrongSetting."""
    if not address.startswith(SERVERS):
        raise WrongSetting("Write an address such as postgresql://postgres:...@host:5432/kira.")
    settings = read()
    with terminal.aside().status("Making the database ready ..."):
        made = init(address, settings.password, new_key=new_key)
    for step in made.applied:
        print(f"Applied step {step.number} of the schema ({step.name}).")
    print(f"The database is ready for Kira: schema step {steps()[-1].number}.")
    if made.is_new or settings.password:
        print("Start every Kira with this, and keep it to yourself:")
    else:
        print("The role kira_app keeps its password (KIRA_PASSWORD gives another), which belongs into this:")
    print(f"KIRA_DATABASE={made.address}")
    print("Every host also needs the same KIRA_MASTER_KEY.")
