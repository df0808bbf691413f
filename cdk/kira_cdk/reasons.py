"""Findings that are accepted, each with its reason, written beside the construct that it is about."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str, *places: str) -> None:
    """Accept what the rule `rule` of AwsSolutions finds on `construct`; where it names places, only in these."""
    for found in [f"{rule}[{place}]" for place in places] or [rule]:
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"AwsSolutions-{found}", reason=reason))


def acknowledge_warning(construct: IConstruct, name: str, reason: str) -> None:
    """Accept what the CDK itself warns of on `construct`."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"Annotation::{name}", reason=reason))
