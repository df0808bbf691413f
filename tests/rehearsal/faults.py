"""Mistakes that somebody could make in the stacks or in an asset; each must be seen in the rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.rehearsal.cloud.assembly import Assembly
from tests.rehearsal.rig import Fault

Properties = dict[str, Any]
NOBODYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:nobodys-000000"


def _said(assembly: Assembly, kind: str, of: str = "") -> Iterator[Properties]:
    """Yield the properties of every resource of a type whose logical id, or name, has `of` in it."""
    for _, logical, properties in assembly.of_type(kind):
        if of in logical or of in str(properties.get("FunctionName", "")):
            yield properties


def _function(name: str) -> Callable[[Assembly], Properties]:
    return lambda assembly: next(iter(_said(assembly, "AWS::Lambda::Function", f"kira-{name}")))


def _set(find: Callable[[Assembly], Properties], *path: str, to: object = None) -> Callable[[Assembly], None]:
    """Return a change of one property; to None removes it."""

    def change(assembly: Assembly) -> None:
        place = find(assembly)
        for name in path[:-1]:
            place = place[name]
        assert path[-1] in place, f"there is no {path}: the fault would be none"
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


def timeout_of(name: str, seconds: int) -> Callable[[Assembly], None]:
    """Return a change of how long a function may take."""
    return _set(_function(name), "Timeout", to=seconds)


def _config(assembly: Assembly) -> Properties:
    (distribution,) = _said(assembly, "AWS::CloudFront::Distribution")
    config: Properties = distribution["DistributionConfig"]
    return config


def _nothing_passed_on(assembly: Assembly) -> None:
    behaviours = _config(assembly)["CacheBehaviors"]
    changed = [each.pop("OriginRequestPolicyId") for each in behaviours if "OriginRequestPolicyId" in each]
    assert changed


def _let_in_others(assembly: Assembly) -> None:
    for each in _said(assembly, "AWS::Lambda::Permission"):
        each["Principal"] = "events.amazonaws.com"


def _without_permission(action: str, role: str) -> Callable[[Assembly], None]:
    def change(assembly: Assembly) -> None:
        (policy,) = _said(assembly, "AWS::IAM::Policy", role)
        left = [each for each in policy["PolicyDocument"]["Statement"] if action not in each["Action"]]
        assert len(left) < len(policy["PolicyDocument"]["Statement"])
        policy["PolicyDocument"]["Statement"] = left

    return change


def _route_to(path: str, name: str) -> Callable[[Assembly], None]:
    """Return a change of a route of the HTTP API: it leads where another one leads."""

    def change(assembly: Assembly) -> None:
        routes = {each["RouteKey"].rpartition(" ")[2]: each for each in _said(assembly, "AWS::ApiGatewayV2::Route")}
        routes[path]["Target"] = routes[name]["Target"]

    return change


def _no_streaming(assembly: Assembly) -> None:
    for each in _said(assembly, "AWS::ApiGateway::Method"):
        integration = each["Integration"]
        del integration["ResponseTransferMode"]
        text = integration["Uri"]["Fn::Join"][1]
        text[0] = text[0].replace("2021-11-15", "2015-03-31")
        text[-1] = text[-1].replace("response-streaming-invocations", "invocations")


def _closed_bucket(assembly: Assembly) -> None:
    for each in _said(assembly, "AWS::S3::BucketPolicy", "Files"):
        document = each["PolicyDocument"]
        document["Statement"] = [one for one in document["Statement"] if one["Effect"] == "Deny"]


def _without(name: str) -> Callable[[Path], None]:
    """Return a change of the layer that has a library: it is not there."""

    def change(asset: Path) -> None:
        package = asset / "python" / name
        if package.is_dir():
            package.rename(asset / f"not-{name}")

    return change


def _no_mode(asset: Path) -> None:
    if (script := asset / "run.sh").exists():
        script.chmod(0o644)


def _big(asset: Path) -> None:
    """Let the chat's function answer with more than Lambda passes on."""
    handler = asset / "handler.py"
    if handler.exists() and "conversations.router" in handler.read_text():
        handler.write_text("def handler(event, context):\n    return {'statusCode': 200, 'body': 'x' * 7_000_000}\n")


FAULTS: dict[str, tuple[Fault, str]] = {
    "a missing permission": (
        Fault(_without_permission("secretsmanager:GetSecretValue", "chatrole")),
        r"a conversation begins: .*(500|Internal Server Error)",
    ),
    "a wrong route": (
        Fault(_route_to("/api/conversations", "/api/usage")),
        r"a conversation begins: .*NOT_FOUND",
    ),
    "a missing environment variable": (
        Fault(_set(_function("auth"), "Environment", "Variables", "KIRA_DATABASE_HOST")),
        r"an account is made: .*Internal Server Error",
    ),
    "a dependency absent from the layer": (
        Fault(in_asset=_without("mangum")),
        r"an account is made: .*Internal Server Error",
    ),
    "a wrong timeout": (Fault(timeout_of("stream", 1)), r"the answer (ended with|does not come)"),
    "a wrong handler name": (Fault(_set(_function("chat"), "Handler", to="handler.main")), r"a conversation begins: "),
    "a wrong secret": (
        Fault(_set(_function("chat"), "Environment", "Variables", "KIRA_MASTER_KEY_SECRET", to=NOBODYS)),
        r"a conversation begins: ",
    ),
    "a bucket whose policy shows nothing to CloudFront": (Fault(_closed_bucket), r"the page is 403"),
    "an answer that is too big": (Fault(in_asset=_big), r"a conversation begins: .*Internal Server Error"),
    "a start script that may not be run": (Fault(in_asset=_no_mode), r"the answer does not come"),
    "a stream that is not passed on": (Fault(_no_streaming), r"the answer does not come"),
    "credentials that CloudFront keeps back": (
        Fault(_nothing_passed_on),
        r"a conversation begins: .*UNAUTHORIZED|an account is made",
    ),
    "a function that does not let the API in": (
        Fault(_let_in_others),
        r"an account is made: .*Internal Server Error",
    ),
}
"""What was got wrong, and at which step of the scenario it shows."""
