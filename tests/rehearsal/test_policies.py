"""The policy evaluator decides as IAM does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rehearsal.cloud.policies import Call, NotRehearsed, Policies, Principal, why_not

ROLE = "arn:aws:iam::123456789012:role/chat"
ALICE = Principal(ROLE, tags={"user": "alice"})
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
OURS = "arn:aws:s3:::users/users/${aws:PrincipalTag/user}/*"


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": "Deny", "Action": action, "Resource": resource, **more}}


def is_allowed(
    action: str, resource: str, *identity: Any, by: Principal = ALICE, on: Any = None, **context: Any
) -> bool:
    context = {name.replace("__", "/").replace("_", ":", 1): value for name, value in context.items()}
    return why_not(Call(action, resource, context), by, Policies(identity, resource=on)) is None


def test_what_nobody_allows_is_refused_and_the_reason_names_it() -> None:
    told = why_not(Call("sqs:SendMessage", "arn:q"), ALICE, Policies())
    assert told == f"no policy allows sqs:SendMessage on arn:q to {ROLE}"


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("sqs:SendMessage", "arn:q", True),
        ("SQS:sendmessage", "arn:q", True),
        ("sqs:DeleteMessage", "arn:q", False),
        ("sqs:SendMessage", "arn:Q", False),
        ("sqs:SendMessage", "arn:qq", False),
    ],
)
def test_actions_and_resources_are_compared(action: str, resource: str, expected: bool) -> None:
    assert is_allowed(action, resource, allow(["sqs:SendMessage", "sqs:Get*"], "arn:q")) is expected


def test_a_denial_wins() -> None:
    assert not is_allowed("s3:GetObject", "arn:x", allow("*"), deny("s3:Get?bject"))
    assert not is_allowed("s3:GetObject", "arn:x", allow("*"), on=deny("s3:*", Principal="*"))


def test_what_is_not_among_exceptions_is_meant() -> None:
    policy = {"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:secret"}]}
    assert is_allowed("s3:GetObject", "arn:x", policy)
    assert not is_allowed("iam:PassRole", "arn:x", policy)
    assert not is_allowed("s3:GetObject", "arn:secret", policy)


def test_a_session_only_reaches_what_its_tag_names() -> None:
    policy = allow("s3:GetObject", OURS)
    assert is_allowed("s3:GetObject", "arn:aws:s3:::users/users/alice/a", policy)
    assert not is_allowed("s3:GetObject", "arn:aws:s3:::users/users/bob/a", policy)
    assert not is_allowed("s3:GetObject", "arn:aws:s3:::users/users/alice/a", policy, by=Principal(ROLE))
    star = Principal(ROLE, tags={"user": "*"})
    assert not is_allowed("s3:GetObject", "arn:aws:s3:::users/users/bob/a", policy, by=star)


def test_a_session_policy_only_takes_away() -> None:
    call = Call("s3:GetObject", "arn:x")
    assert why_not(call, ALICE, Policies([allow("*")], [allow("s3:*")])) is None
    assert why_not(call, ALICE, Policies([allow("*")], [allow("sqs:*")])) is not None
    assert why_not(call, ALICE, Policies([], [allow("s3:*")])) is not None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"kms:EncryptionContext:user": "alice"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:user": ["bob", "alice"]}}, True),
        ({"StringEquals": {"kms:EncryptionContext:user": "bob"}}, False),
        ({"StringNotEquals": {"kms:EncryptionContext:user": "bob"}}, True),
        ({"StringLike": {"kms:EncryptionContext:user": "al*"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:user": "al*"}}, False),
        ({"StringEquals": {"kms:EncryptionContext:user": "${aws:PrincipalTag/user}"}}, True),
        ({"StringEquals": {"KMS:encryptioncontext:USER": "alice"}}, True),
        ({"StringEquals": {"no:Such": "x"}}, False),
        ({"StringEqualsIfExists": {"no:Such": "x"}}, True),
        ({"StringNotEquals": {"no:Such": "x"}}, True),
        ({"Null": {"no:Such": "true"}}, True),
        ({"Null": {"kms:EncryptionContext:user": "true"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": False}}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["user", "team"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["user"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["user"]}}, True),
        ({"ForAllValues:StringEquals": {"no:Such": ["user"]}}, True),
        ({"ForAnyValue:StringEquals": {"no:Such": ["user"]}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/chat"}}, True),
        ({"StringEqualsIgnoreCase": {"kms:EncryptionContext:user": "ALICE"}}, True),
    ],
)
def test_conditions_are_met_or_not(condition: dict[str, Any], expected: bool) -> None:
    context = {"kms:EncryptionContext:user": "alice", "aws:TagKeys": ["user", "team"]}
    policy = allow("kms:Decrypt", Condition=condition)
    assert (why_not(Call("kms:Decrypt", KEY, context), ALICE, Policies([policy])) is None) is expected


def test_a_condition_that_is_not_known_is_not_believed() -> None:
    with pytest.raises(NotRehearsed, match="IpAddress"):
        is_allowed("s3:GetObject", "x", allow("*", Condition={"IpAddress": {"aws:PrincipalArn": "10.0.0.0/8"}}))


def test_a_resource_may_let_in_whom_it_names() -> None:
    named = allow("s3:GetObject", Principal={"AWS": ROLE})
    assert is_allowed("s3:GetObject", "arn:x", on=named)
    assert not is_allowed("s3:GetObject", "arn:x", on=named, by=Principal("arn:aws:iam::123456789012:role/other"))
    assert not is_allowed("s3:GetObject", "arn:x", on=allow("s3:GetObject", Principal={"Service": "a.amazonaws.com"}))


def test_a_key_opens_only_when_its_own_policy_agrees() -> None:
    root = allow("kms:*", Principal={"AWS": "arn:aws:iam::123456789012:root"})
    assert is_allowed("kms:Decrypt", KEY, allow("kms:Decrypt", KEY), on=root)
    assert not is_allowed("kms:Decrypt", KEY, on=root)
    assert not is_allowed("kms:Decrypt", KEY, allow("kms:Decrypt", KEY), on=allow("kms:*", Principal={"AWS": "arn:x"}))


def test_a_role_is_taken_by_whom_it_trusts() -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"AWS": ROLE}}]}
    assert is_allowed("sts:AssumeRole", "arn:user", on=trust)
    assert not is_allowed("sts:TagSession", "arn:user", on=trust)
    assert not is_allowed(
        "sts:AssumeRole", "arn:user", allow("*"), on=trust, by=Principal("arn:aws:iam::1:role/x", "1")
    )
