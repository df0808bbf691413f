"""`make diff`: a deploy that would lose data is refused, every other is only told."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cdk import synth

from kira_cdk import changes


def _name(stack: str, kind: str, templates: dict[str, Any], told: str = "") -> str:
    resources: dict[str, Any] = templates[stack]["Resources"]
    return next(name for name, each in resources.items() if each["Type"] == kind and told in json.dumps(each))


@pytest.fixture
def new() -> dict[str, Any]:
    """Return templates to change."""
    return copy.deepcopy(synth.templates())


def _lost(new: dict[str, Any]) -> list[changes.Change]:
    return [each for each in changes.between(synth.templates(), new) if each.loses]


def test_the_same_changes_nothing(new: dict[str, Any]) -> None:
    assert changes.between(synth.templates(), new) == []
    assert changes.told([]) == "A deploy changes nothing."


def test_new_code_is_told_and_allowed(new: dict[str, Any]) -> None:
    name = _name("kira-api", "AWS::Lambda::Function", new, "kira-chat")
    new["kira-api"]["Resources"][name]["Properties"]["MemorySize"] = 2048
    (found,) = changes.between(synth.templates(), new)
    assert (found.how, found.type, found.loses) == ("changes", "AWS::Lambda::Function", "")


def test_more_backups_are_allowed(new: dict[str, Any]) -> None:
    name = _name("kira-data", "AWS::RDS::DBCluster", new)
    new["kira-data"]["Resources"][name]["Properties"]["BackupRetentionPeriod"] = 35
    assert changes.between(synth.templates(), new) != []
    assert _lost(new) == []


@pytest.mark.parametrize(
    ("stack", "kind", "property_", "value"),
    [
        ("kira-data", "AWS::RDS::DBCluster", "DatabaseName", "other"),
        ("kira-data", "AWS::RDS::DBCluster", "KmsKeyId", "another"),
        ("kira-data", "AWS::RDS::DBCluster", "DeletionProtection", False),
        ("kira-storage", "AWS::S3::Bucket", "BucketName", "renamed"),
        ("kira-data", "AWS::SecretsManager::Secret", "Name", "renamed"),
        ("kira-data", "AWS::SecretsManager::Secret", "GenerateSecretString", {"PasswordLength": 99}),
    ],
)
def test_what_replaces_data_is_refused(
    new: dict[str, Any], stack: str, kind: str, property_: str, value: object
) -> None:
    new[stack]["Resources"][_name(stack, kind, new)]["Properties"][property_] = value
    (lost,) = _lost(new)
    assert lost.type == kind


@pytest.mark.parametrize("kind", changes.DATA)
def test_what_removes_data_is_refused(new: dict[str, Any], kind: str) -> None:
    stack = "kira-storage" if kind == "AWS::S3::Bucket" else "kira-data"
    del new[stack]["Resources"][_name(stack, kind, new)]
    (lost,) = _lost(new)
    assert "no longer be there" in lost.loses


def test_what_would_no_longer_keep_data_is_refused(new: dict[str, Any]) -> None:
    bucket = new["kira-storage"]["Resources"][_name("kira-storage", "AWS::S3::Bucket", new)]
    bucket["DeletionPolicy"] = "Delete"
    assert [each.type for each in _lost(new)] == ["AWS::S3::Bucket"]


def test_a_stack_that_goes_with_its_data_is_refused(new: dict[str, Any]) -> None:
    del new["kira-data"]
    assert {each.type for each in _lost(new)} == {*changes.DATA} - {"AWS::S3::Bucket"}


def test_the_command_compares_two_folders_without_aws(tmp_path: Path, new: dict[str, Any]) -> None:
    del new["kira-data"]["Resources"][_name("kira-data", "AWS::RDS::DBCluster", new)]
    for stack, template in new.items():
        (tmp_path / f"{stack}.template.json").write_text(json.dumps(template))
    here = synth.folder()
    for out, against, code in ((tmp_path, here, 1), (here, here, 0)):
        command = [sys.executable, "-m", "kira_cdk", "diff", "--out", str(out), "--against", str(against)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("Refused, because data would be lost" in done.stdout) == bool(code)
