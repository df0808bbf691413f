"""What a Kira costs, read from its templates: a month in which nobody comes, and 1,000 runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Templates = Mapping[str, Mapping[str, Any]]
Resource = Mapping[str, Any]

HOURS = 730  # of a month
PRICES: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text())
POLLS_MONTH = 5 * 3 * 60 * HOURS  # Lambda asks a queue with five pollers, each every 20 seconds
WEIGHTS_GB = 5.0
ROWS_GB = 1.0
PROXY_UNITS = 8

# Paid for only when somebody comes, or never.
FREE = {
    "AWS::ApiGateway::Account", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage", "AWS::AutoScaling::LifecycleHook",
    "AWS::Budgets::Budget", "AWS::CDK::Metadata", "AWS::CloudFront::CachePolicy", "AWS::CloudFront::Distribution",
    "AWS::CloudFront::Function", "AWS::CloudFront::OriginAccessControl", "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::InternetGateway", "AWS::EC2::LaunchTemplate", "AWS::EC2::Route",
    "AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress", "AWS::EC2::Subnet", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPC",
    "AWS::EC2::VPCCidrBlock", "AWS::EC2::VPCGatewayAttachment", "AWS::IAM::InstanceProfile", "AWS::IAM::Policy",
    "AWS::IAM::Role", "AWS::Lambda::Function", "AWS::Lambda::LayerVersion", "AWS::Lambda::Permission",
    "AWS::Lambda::Version", "AWS::Logs::LogGroup", "AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBInstance",
    "AWS::RDS::DBProxyTargetGroup", "AWS::RDS::DBSubnetGroup", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription",
    "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::ScheduleGroup", "AWS::SecretsManager::SecretTargetAttachment",
    "Custom::CrossRegionExportReader", "Custom::CrossRegionExportWriter", "Custom::Trigger",
    "Custom::VpcRestrictDefaultSG",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of an account."""

    told: str
    dollars: float


@dataclass(frozen=True)
class Run:
    """What one question and its answer are taken to need; measured or guessed, and meant to be changed."""

    requests: int = 6  # the question itself, and what the dashboard reads around it
    request_ms: int = 60
    streamed_s: int = 25  # 5 of waiting and 20 of words
    hints: int = 6  # sent, received, kept twice, deleted, and one that comes again
    database_acu: float = 0.5  # while the stream lasts; shared by all who ask at the same time
    sharing: int = 4
    rows: int = 200
    sent_kb: int = 60
    logged_kb: int = 12
    answered_s: int = 20
    slots: int = 8


class UnknownPrice(Exception):
    """A template has a kind of resource that nobody has given a price."""


def price(name: str) -> float:
    """Return a price in dollars."""
    return float(PRICES["prices"][name]["price"])


def idle(templates: Templates) -> list[Line]:
    """Return what a month costs in which nobody comes, without the hours of GPUs."""
    instances = sum(resource["Type"] == "AWS::RDS::DBInstance" for resource in _resources(templates))
    counted = _count(
        templates,
        {
            **PRICED,
            "AWS::RDS::DBCluster": lambda found: _cluster(found, instances),
            "AWS::AutoScaling::AutoScalingGroup": _nothing,
        },
    )
    weights = Line("Weights of one model in S3 (5 GB)", WEIGHTS_GB * price("s3_gb_month"))
    return [line for line in [*counted, weights] if line.dollars]


def gpu(templates: Templates) -> list[Line]:
    """Return what the instances cost in a month that always run."""
    return _count(templates, {"AWS::AutoScaling::AutoScalingGroup": _group}, only=True)


def thousand_runs(templates: Templates, run: Run | None = None) -> list[Line]:
    """Return what 1,000 runs cost beside the month; the memory of the functions is that of the template."""
    each = run or Run()
    memory = {name: _memory_gb(templates, name) for name in ("chat", "stream")}
    once = {
        "Lambda, requests": each.requests
        * (each.request_ms / 1000 * memory["chat"] * price("lambda_gb_second") + price("lambda_request")),
        "Lambda, streams": each.streamed_s * memory["stream"] * price("lambda_gb_second") + price("lambda_request"),
        "API Gateway": each.requests * price("http_request") + price("rest_request"),
        "CloudFront": (each.requests + 1) * (price("front_request") + price("front_function"))
        + each.sent_kb / 1e6 * price("front_gb"),
        "SQS": each.hints * price("sqs_fair_request"),
        "Aurora": each.database_acu * each.streamed_s / each.sharing / 3600 * price("acu_hour")
        + each.rows * price("aurora_io"),
        "Logs": each.logged_kb / 1e6 * price("log_gb"),
        "GPU (g6.xlarge on demand, all slots taken)": each.answered_s / each.slots / 3600 * price("g6.xlarge_hour"),
    }
    if any(resource["Type"] == "AWS::WAFv2::WebACL" for resource in _resources(templates)):
        once["WAF"] = (each.requests + 1) * price("acl_request")
    return [Line(told, 1000 * dollars) for told, dollars in once.items()]


def total(lines: list[Line]) -> float:
    """Return the sum."""
    return sum(line.dollars for line in lines)


def _count(
    templates: Templates, priced: Mapping[str, Callable[[Resource], list[Line]]], *, only: bool = False
) -> list[Line]:
    sums: dict[str, float] = {}
    for resource in _resources(templates):
        kind = resource["Type"]
        if kind not in priced:
            if not only and kind not in FREE:
                raise UnknownPrice(f"{kind} has no price: say in cost.py what it costs when nobody comes.")
            continue
        for line in priced[kind](resource.get("Properties", {})):
            sums[line.told] = sums.get(line.told, 0) + line.dollars
    return [Line(told, dollars) for told, dollars in sums.items()]


def _resources(templates: Templates) -> list[Resource]:
    return [resource for template in templates.values() for resource in template.get("Resources", {}).values()]


def _memory_gb(templates: Templates, name: str) -> float:
    for resource in _resources(templates):
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function" and str(properties.get("FunctionName", "")).endswith(f"-{name}"):
            return float(properties["MemorySize"]) / 1024
    raise UnknownPrice(f"The templates have no function {name}.")


def _cluster(properties: Resource, instances: int) -> list[Line]:
    least = float(properties["ServerlessV2ScalingConfiguration"]["MinCapacity"])
    return [
        Line("Aurora awake", instances * least * HOURS * price("acu_hour")),
        Line("Aurora storage (1 GB)", ROWS_GB * price("aurora_gb_month")),
    ]


def _acl(properties: Resource) -> list[Line]:
    rules = len(properties["Rules"])
    return [Line("WAF", price("acl_month") + rules * price("acl_rule_month"))]


def _alarm(properties: Resource) -> list[Line]:
    metrics = sum("MetricStat" in each for each in properties.get("Metrics", ())) or 1
    return [Line("Alarms", metrics * price("alarm_metric_month"))]


def _group(properties: Resource) -> list[Line]:
    least = int(properties["MinSize"])
    hours = least * HOURS
    disk = 100 * least * price("gp3_gb_month")
    return [Line(f"{least} GPU instance(s), always", hours * (price("g6.xlarge_hour") + price("ipv4_hour")) + disk)]


def _each(told: str, name: str, times: float = 1) -> Callable[[Resource], list[Line]]:
    return lambda _: [Line(told, times * price(name))]


def _tracking(properties: Resource) -> list[Line]:
    """Target tracking makes two alarms of its own."""
    made = 2 if properties.get("PolicyType") == "TargetTrackingScaling" else 0
    return [Line("Alarms", made * price("alarm_metric_month"))]


def _mapping(properties: Resource) -> list[Line]:
    asks = POLLS_MONTH if properties.get("Enabled", True) else 0
    return [Line("Lambda asking the queue of hosted runs", asks * price("sqs_request"))]


def _endpoint(properties: Resource) -> list[Line]:
    if properties.get("VpcEndpointType", "Gateway") != "Gateway":
        raise UnknownPrice("An interface endpoint costs $7.30 a month for each zone: the design does without.")
    return []


def _nothing(_: Resource) -> list[Line]:
    return []


PRICED: dict[str, Callable[[Resource], list[Line]]] = {
    "AWS::AutoScaling::ScalingPolicy": _tracking,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _each("Board", "board_month"),
    "AWS::EC2::EIP": _each("Address of the NAT gateway", "ipv4_hour", HOURS),
    "AWS::EC2::NatGateway": _each("NAT gateway", "nat_hour", HOURS),
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::KMS::Key": _each("Keys", "key_month"),
    "AWS::Lambda::EventSourceMapping": _mapping,
    "AWS::RDS::DBProxy": _each("RDS Proxy", "proxy_acu_hour", PROXY_UNITS * HOURS),
    "AWS::S3::Bucket": _nothing,
    "AWS::SecretsManager::Secret": _each("Secrets", "secret_month"),
    "AWS::WAFv2::WebACL": _acl,
}
