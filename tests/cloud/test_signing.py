"""Our signatures are those of Amazon's own library, and a server that checks them lets us in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs

import botocore.auth  # type: ignore[import-untyped]
import botocore.credentials  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from tests.aws import Aws, aws_server

from kira.cloud.aws import Aws as Ours
from kira.cloud.secrets import Secrets
from kira.cloud.settings import read
from kira.domain.errors import Forbidden, NotFound, Unavailable, WrongSetting
from kira.domain.signing import Credentials, Scope, signed_headers, signed_query

NOW = datetime(2026, 11, 25, 9, 36, 0, tzinfo=UTC)
WHO = [Credentials("AKID", "secret/+="), Credentials("AKID", "secret/+=", "a token/+=")]


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library sign as if it were now."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: NOW.replace(tzinfo=None))


@pytest.mark.parametrize("who", WHO)
def test_headers_are_signed_as_the_library_signs(standing: None, who: Credentials) -> None:
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"}
    host, body = "secretsmanager.eu-west-1.amazonaws.com", b'{"SecretId": "x"}'
    given = botocore.credentials.Credentials(who.key_id, who.secret, who.token or None)
    theirs = AWSRequest("POST", f"https://{host}/", data=body, headers=dict(headers))
    botocore.auth.SigV4Auth(given, "secretsmanager", "eu-west-1").add_auth(theirs)
    ours = signed_headers(who, Scope("secretsmanager", "eu-west-1"), host, headers, body, now=NOW)
    assert ours["authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize("who", WHO)
def test_a_token_for_the_database_is_that_of_the_library(standing: None, who: Credentials) -> None:
    session = botocore.session.get_session()
    session.set_credentials(who.key_id, who.secret, who.token or None)
    client = session.create_client("rds", region_name="eu-west-1")
    theirs = client.generate_db_auth_token("db.example.org", 5432, "kira_app")
    asked = {"Action": "connect", "DBUser": "kira_app"}
    ours = signed_query(who, Scope("rds-db", "eu-west-1"), "db.example.org:5432", asked, 900, now=NOW)
    assert parse_qs(ours) == parse_qs(theirs.partition("?")[2])


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[Aws, dict[str, str]]]:
    """Services that check signatures and rights, and the environment of somebody who may read secrets there."""
    # The four requests that make the user are not checked.
    with aws_server(checks_after=3) as server:
        iam = server.client("iam")
        iam.create_user(UserName="kira")
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}'
        iam.put_user_policy(UserName="kira", PolicyName="secrets", PolicyDocument=policy)
        key = iam.create_access_key(UserName="kira")["AccessKey"]
        given = {
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        yield server, given


def test_a_server_that_checks_signatures_lets_us_in_and_nobody_else(strict: tuple[Aws, dict[str, str]]) -> None:
    server, given = strict
    client = server.client(
        "secretsmanager",
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_secret(Name="kept", SecretString='{"password": "first"}')
    secrets = Secrets(Ours(read(given)))
    assert secrets.field("kept", "password") == "first"
    client.put_secret_value(SecretId="kept", SecretString='{"password": "second"}')
    assert secrets.field("kept", "password") == "first", "it was fetched once"
    assert secrets.field("kept", "password", fresh=True) == "second"
    with pytest.raises(WrongSetting, match="no field 'user'"):
        secrets.field("kept", "user")
    with pytest.raises(NotFound):
        secrets.text("never kept")
    with pytest.raises(Forbidden):
        Secrets(Ours(read(given | {"AWS_SECRET_ACCESS_KEY": "another"}))).text("kept")


def test_a_service_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kira.cloud.aws.PAUSES_S", (0.0,))
    nobody = Ours(read({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}))
    with pytest.raises(Unavailable, match="secretsmanager") as found:
        nobody.ask_now("secretsmanager", "GetSecretValue", {"SecretId": "x"})
    assert found.value.retry_after_s > 0
