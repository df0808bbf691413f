"""AwsSolutions and cfn-lint have nothing to say that was not answered with a reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks
from tests.cdk import synth

from kira_cdk import layers

PACKAGE = layers.ROOT / "cdk" / "kira_cdk"
# CDK writes dependencies that CloudFormation would find by itself; and the rule that refuses an old Python knows both
# of its sides, which is its point.
IGNORED = ("W3005", "W8003")


@pytest.mark.parametrize("size", synth.CONFIGS)
def test_aws_solutions_finds_nothing(size: str) -> None:
    report = json.loads((synth.folder(size) / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_aws_solutions_does_look(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    sns.Topic(cdk.Stack(app, "open"), "Topic")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="AwsSolutions-SNS3"):
        app.synth()
    assert "AwsSolutions-SNS3" in (tmp_path / "validation-report.json").read_text()


@pytest.mark.parametrize("size", synth.CONFIGS)
def test_cfn_lint_finds_nothing(size: str) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    files = sorted(str(path) for path in synth.folder(size).glob("*.template.json"))
    command = [str(linter), "--ignore-checks", *IGNORED, "--regions", synth.CONFIGS[size].region, "--", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_finding_that_is_accepted_has_a_reason_beside_it() -> None:
    calls = 0
    for path in {*PACKAGE.glob("*.py")} - {PACKAGE / "reasons.py"}:
        for call in re.findall(r"\backnowledge\((?!construct)(.*?)\)\n", path.read_text(), re.DOTALL):
            calls += 1
            assert re.search(r'"[A-Z]+\d+",\s*(?:"[^"]{20,}|[A-Z]+\b)', call), f"{path.name}: {call}"
    assert calls > 15
