"""The schema during a deploy: made by whoever made the cluster, twice without harm, and a deploy stops without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.aws import Aws
from tests.cloud.calling import function
from tests.engines import server

from kira.adapters.database.postgres import PostgresConfig
from kira.adapters.database.postgres.looking import check

CREATE = {"RequestType": "Create", "ResourceProperties": {"Version": "1"}}
NAME = "kira_deployed"


@pytest.fixture
def environment(aws: Aws) -> dict[str, str]:
    """A cluster as Amazon hands it over: its first account may make roles and databases, and is no superuser."""
    running = server("postgres16")
    with psycopg.connect(running.address(), autocommit=True) as past:
        past.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)".encode())
        if not past.execute("SELECT 1 FROM pg_roles WHERE rolname = 'first'").fetchone():
            past.execute("CREATE ROLE first LOGIN CREATEROLE CREATEDB; CREATE ROLE rds_iam ADMIN first")
            for role in ("kira_owner", "kira_app", "kira_worker", "kira_search"):
                past.execute(f"GRANT {role} TO first WITH ADMIN OPTION".encode())
    return {
        **aws.settings,
        "KIRA_DATABASE_HOST": str(running.socket_folder),
        "KIRA_DATABASE_NAME": NAME,
        "KIRA_DATABASE_OWNER_SECRET": aws.secret(json.dumps({"username": "first", "password": "x"})),
    }


def run(environment: dict[str, str], folder: Path, given: Any = None) -> Any:
    """Invoke the function once, as a deploy does."""
    with function("migrate", folder, environment) as migrate:
        return migrate.invoke(given or CREATE, 60)


def tokens() -> bool:
    """Say whether the application's role may sign in with a token."""
    with psycopg.connect(server("postgres16").address()) as past:
        return past.execute("SELECT pg_has_role('kira_app', 'rds_iam', 'MEMBER')").fetchone() == (True,)


def test_a_deploy_makes_the_schema_and_the_next_one_leaves_it(
    aws: Aws, environment: dict[str, str], tmp_path: Path
) -> None:
    secret = aws.secret(json.dumps({"username": "kira_app", "password": "of the application"}))
    first = run(environment | {"KIRA_DATABASE_SECRET": secret}, tmp_path)
    assert first["PhysicalResourceId"] == "kira-schema"
    assert first["Data"]["Applied"].startswith("1 ")
    check(PostgresConfig(server("postgres16").address("kira_app", NAME)))
    again = run(environment, tmp_path, CREATE | {"RequestType": "Update"})
    assert again["Data"]["Applied"] == ""
    assert tokens(), "without a secret, tokens are let in"
    run(environment | {"KIRA_DATABASE_SECRET": secret}, tmp_path)
    assert not tokens(), "who may sign in with a token cannot with a password"
    gone = run(environment, tmp_path, CREATE | {"RequestType": "Delete"})
    assert gone == {"PhysicalResourceId": "kira-schema"}
    check(PostgresConfig(server("postgres16").address("kira_app", NAME)))


def test_a_deploy_stops_when_the_schema_cannot_be_made(environment: dict[str, str], tmp_path: Path) -> None:
    run(environment, tmp_path)
    with psycopg.connect(server("postgres16").address(database=NAME), autocommit=True) as past:
        past.execute("UPDATE kira.schema_steps SET sha256 = 'changed'")
    with pytest.raises(AssertionError, match="WrongSetting: "):
        run(environment, tmp_path)


def test_a_deploy_does_not_wait_for_ever(environment: dict[str, str], tmp_path: Path) -> None:
    away = environment | {"KIRA_DATABASE_HOST": "127.0.0.1", "KIRA_DATABASE_PORT": "9"}
    with function("migrate", tmp_path, away) as migrate, pytest.raises(AssertionError, match="the deploy stops"):
        migrate.invoke(CREATE, 11)
