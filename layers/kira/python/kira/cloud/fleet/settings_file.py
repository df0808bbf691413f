"""Writes the settings of the worker, with what is secret in them, for root alone."""

from __future__ import annotations

from urllib.parse import quote

from kira.cloud.fleet.parameters import Parameters, read_environment, write_environment
from kira.cloud.fleet.store import NotReady, Store

AUTHORITIES = "database-ca.pem"
GRACE_SECONDS = 40
"""Less than the unit allows a worker that is stopped by hand; one that is taken away is told how long it has."""


def write_settings(given: Parameters, store: Store) -> None:
    """Write worker.env anew: a password that was changed meanwhile is the new one. Raises NotReady."""
    slots = given.settings / "ollama.env"
    parallel = read_environment(slots).get("OLLAMA_NUM_PARALLEL", "1") if slots.is_file() else "1"
    values = {
        "KIRA_DATABASE": _database(given, store),
        "KIRA_MASTER_KEY": store.secret(given.master_key_secret),
        "KIRA_QUEUE": given.queue,
        # A worker of the fleet serves none of these, and is to know that somebody else does.
        "KIRA_QUEUE_HOSTED": given.queue_hosted,
        "KIRA_HOSTED_MODELS": given.hosted_models,
        "KIRA_STREAM": given.stream,
        "KIRA_OLLAMA": given.ollama,
        "KIRA_MODELS": ",".join(given.models),
        "KIRA_MODEL": given.models[0],
        "OLLAMA_NUM_PARALLEL": parallel,
        "KIRA_FLEET": given.fleet,
        "KIRA_LIFECYCLE_HOOK": given.lifecycle_hook,
        "KIRA_GRACE_S": str(GRACE_SECONDS),
        "AWS_REGION": given.region,
    }
    if given.vram_mib:
        values["KIRA_VRAM_MIB"] = str(given.vram_mib)
    write_environment(given.settings / "worker.env", values)


def _database(given: Parameters, store: Store) -> str:
    """Return the address; where the authorities came with Kira, the server must be the one that it says it is."""
    fields = store.fields(given.database_secret)
    if not {"username", "password"} <= fields.keys():
        raise NotReady(f"The secret {given.database_secret} has no username and password.")
    user, password = quote(fields["username"], safe=""), quote(fields["password"], safe="")
    authorities = given.home / AUTHORITIES
    safety = f"verify-full&sslrootcert={quote(str(authorities))}" if authorities.is_file() else "require"
    place = f"{given.database_host}:{given.database_port}/{given.database_name}"
    return f"postgresql://{user}:{password}@{place}?sslmode={safety}"
