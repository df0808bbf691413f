"""A Kira with everything that the three sizes leave off: another region, a domain, hosted models, mail, Valkey."""

from __future__ import annotations

import json
from typing import Any

from tests.cdk import synth


def _variables(name: str) -> dict[str, Any]:
    found = [each["Properties"] for each in synth.resources("AWS::Lambda::Function", "other").values()]
    (function,) = [each for each in found if each.get("FunctionName") == f"other-{name}"]
    variables: dict[str, Any] = function["Environment"]["Variables"]
    return variables


def test_the_firewall_lies_where_cloudfront_wants_it() -> None:
    manifest = json.loads((synth.folder("other") / "manifest.json").read_text())["artifacts"]
    assert manifest["other-firewall"]["environment"].endswith("/us-east-1")
    assert manifest["other-dashboard"]["environment"].endswith("/eu-central-1")
    (front,) = synth.resources("AWS::CloudFront::Distribution", "other").values()
    config = front["Properties"]["DistributionConfig"]
    assert config["Aliases"] == ["kira.example.org"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_functions_know_the_provider_and_only_the_agent_its_key() -> None:
    assert _variables("chat")["KIRA_HOSTED_MODELS"] == "large"
    assert "KIRA_HOSTED_SECRET" not in _variables("chat")
    assert _variables("agent")["KIRA_HOSTED_SECRET"]


def test_nobody_has_a_password_of_the_database() -> None:
    assert _variables("chat")["KIRA_DATABASE_SECRET"] == ""


def test_letters_are_sent_by_one_sender() -> None:
    assert _variables("auth")["KIRA_MAIL_FROM"] == "kira@example.org"
    policies = json.dumps(synth.resources("AWS::IAM::Policy", "other"))
    assert "identity/kira@example.org" in policies
    assert "identity/*" not in policies


def test_the_library_of_valkey_is_there_only_when_it_is_asked_for() -> None:
    def has_redis(size: str) -> bool:
        hashes = [
            each["Properties"]["Content"]["S3Key"]
            for each in synth.resources("AWS::Lambda::LayerVersion", size).values()
        ]
        return any((synth.asset(size, each.removesuffix(".zip")) / "python" / "redis").is_dir() for each in hashes)

    assert has_redis("other")
    assert not has_redis("dev")


def test_alarms_go_to_somebody_and_the_image_is_pinned() -> None:
    (subscription,) = synth.resources("AWS::SNS::Subscription", "other").values()
    assert subscription["Properties"]["Endpoint"] == "ops@example.org"
    assert "ami-0123456789abcdef0" in json.dumps(synth.resources("AWS::EC2::LaunchTemplate", "other"))
