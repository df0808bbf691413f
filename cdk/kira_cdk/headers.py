"""The security headers: those of the laptop, word by word, and one that only makes sense behind TLS."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudfront as cloudfront
from constructs import Construct

from kira.web.door import SECURITY_HEADERS

REFERRERS = {"no-referrer": cloudfront.HeadersReferrerPolicy.NO_REFERRER}


def response_headers(scope: Construct) -> cloudfront.ResponseHeadersPolicy:
    """Return the policy for every answer, whoever made it."""
    named = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
    policy, referrer = named.pop("content-security-policy"), named.pop("referrer-policy")
    named.pop("x-content-type-options")  # CloudFront knows only its one value
    return cloudfront.ResponseHeadersPolicy(
        scope,
        "Headers",
        comment="Kira: as at home",
        security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=policy, override=True
            ),
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                referrer_policy=REFERRERS[referrer], override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=Duration.days(365), override=True
            ),
        ),
        custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
            custom_headers=[
                cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                for name, value in named.items()
            ]
        ),
    )
