"""The firewall before CloudFront: $5 a month, $1 for each of its two rules, $0.60 for a million requests."""

from __future__ import annotations

from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from kira_cdk.config import Config
from kira_cdk.part import Part

# People write about code, and Kira shows it safely: what looks like an attack in a body is a question.
BODIES = (
    "CrossSiteScripting_BODY",
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "SizeRestrictions_BODY",
)
SEARCHES = ("CrossSiteScripting_QUERYARGUMENTS", "GenericLFI_QUERYARGUMENTS", "GenericRFI_QUERYARGUMENTS")


class Firewall(Part):
    """CloudFront takes a firewall only from us-east-1."""

    def __init__(self, scope: Construct, config: Config) -> None:
        """Make the firewall of one Kira."""
        super().__init__(
            scope, config, "firewall", region="us-east-1", cross_region_references=config.region != "us-east-1"
        )
        acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="CLOUDFRONT",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_seen("kira"),
            rules=[_rate(config.requests_per_address), _common()],
        )
        self.arn = acl.attr_arn


def _rate(limit: int) -> waf.CfnWebACL.RuleProperty:
    statement = waf.CfnWebACL.RateBasedStatementProperty(
        limit=limit, aggregate_key_type="IP", evaluation_window_sec=300
    )
    return waf.CfnWebACL.RuleProperty(
        name="rate",
        priority=0,
        action=waf.CfnWebACL.RuleActionProperty(block={}),
        statement=waf.CfnWebACL.StatementProperty(rate_based_statement=statement),
        visibility_config=_seen("kira-rate"),
    )


def _common() -> waf.CfnWebACL.RuleProperty:
    count = waf.CfnWebACL.RuleActionProperty(count={})
    group = waf.CfnWebACL.ManagedRuleGroupStatementProperty(
        vendor_name="AWS",
        name="AWSManagedRulesCommonRuleSet",
        rule_action_overrides=[
            waf.CfnWebACL.RuleActionOverrideProperty(name=name, action_to_use=count) for name in (*BODIES, *SEARCHES)
        ],
    )
    return waf.CfnWebACL.RuleProperty(
        name="common",
        priority=1,
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        statement=waf.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
        visibility_config=_seen("kira-common"),
    )


def _seen(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
