"""What a browser gets from CloudFront is what it gets at home."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.cdk import synth

from kira.web import files
from kira.web.door import SECURITY_HEADERS
from kira_cdk import dashboard, site
from kira_cdk.upload import handler as upload

PATHS = (
    "/", "/chat", "/settings", "/chat/0197", "/index.html", "/sw.js", "/assets/index-1.js", "/assets/none",
    "/icons/none", "/icons/icon.svg", "/api/none", "/favicon.ico", "/a.b/c", "/manifest.webmanifest",
)  # fmt: skip
LISTED = ["/api/events", "/api/runs/*/events", "/api/openapi.json", "/api/docs", "/api/*"]


def _distribution() -> dict[str, Any]:
    (found,) = synth.resources("AWS::CloudFront::Distribution").values()
    config: dict[str, Any] = found["Properties"]["DistributionConfig"]
    return config


def _edge(code: str, uri: str) -> dict[str, Any]:
    """Run a function of the edge in Node."""
    event = {
        "request": {"uri": uri, "headers": {"host": {"value": "kira.example.org"}}},
        "viewer": {"ip": "2001:db8::1"},
    }
    script = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_security_headers_are_those_of_the_laptop() -> None:
    (policy,) = synth.resources("AWS::CloudFront::ResponseHeadersPolicy").values()
    config = policy["Properties"]["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    found = {each["Header"]: each["Value"] for each in config["CustomHeadersConfig"]["Items"]}
    found["content-security-policy"] = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    found["referrer-policy"] = security["ReferrerPolicy"]["ReferrerPolicy"]
    found["x-content-type-options"] = "nosniff" if security["ContentTypeOptions"]["Override"] else ""
    assert found == {name.decode(): value.decode() for name, value in SECURITY_HEADERS}
    assert set(security) == {
        "ContentSecurityPolicy", "ContentTypeOptions", "ReferrerPolicy", "StrictTransportSecurity",
    }  # fmt: skip
    assert all(each["Override"] for each in config["CustomHeadersConfig"]["Items"])


def test_every_answer_carries_them() -> None:
    config = _distribution()
    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert len({json.dumps(each["ResponseHeadersPolicyId"]) for each in behaviours}) == 1


def test_streams_and_descriptions_come_before_the_rest_of_the_api() -> None:
    assert [each["PathPattern"] for each in _distribution()["CacheBehaviors"]] == LISTED


def test_nothing_of_the_api_is_kept_or_compressed_at_the_edge() -> None:
    disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    except_host = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    for each in _distribution()["CacheBehaviors"]:
        if each["PathPattern"] not in (f"/{site.DESCRIPTION}", f"/{site.PAGE}"):
            assert each["CachePolicyId"] == disabled
            assert each["OriginRequestPolicyId"] == except_host
            assert not each["Compress"]


def test_files_are_kept_as_they_say_themselves() -> None:
    (policy,) = synth.resources("AWS::CloudFront::CachePolicy").values()
    config = policy["Properties"]["CachePolicyConfig"]
    assert (config["MinTTL"], config["DefaultTTL"]) == (0, 0)
    parameters = config["ParametersInCacheKeyAndForwardedToOrigin"]
    assert parameters["EnableAcceptEncodingBrotli"]
    assert parameters["EnableAcceptEncodingGzip"]
    assert upload.YEAR == files.YEAR
    assert upload.ALWAYS_ASK == files.ALWAYS_ASK


def test_a_page_is_rewritten_exactly_where_the_laptop_does_it() -> None:
    (code,) = [
        each["Properties"]["FunctionCode"]
        for each in synth.resources("AWS::CloudFront::Function").values()
        if "index.html" in each["Properties"]["FunctionCode"]
    ]
    assert code == dashboard.PAGES
    home = files.Dashboard(site.DASHBOARD)
    for path in PATHS:
        here = home._response({"type": "http", "method": "GET", "path": path, "headers": []})
        rewritten = _edge(code, path)["uri"]
        there = site.folder() / rewritten.lstrip("/")
        assert there.is_file() == (here.status_code == 200), path
        if here.status_code == 200:
            assert there.read_bytes() == here.body, path


def test_no_error_of_the_api_becomes_a_page() -> None:
    assert "CustomErrorResponses" not in _distribution()


def test_who_asks_is_said_by_cloudfront_and_not_by_the_client() -> None:
    headers = _edge(dashboard.ASKS, "/api/auth/me")["headers"]
    assert headers["cloudfront-viewer-address"] == {"value": "2001:db8::1:0"}
    assert headers["x-forwarded-host"] == {"value": "kira.example.org"}


def test_both_apis_are_told_the_secret_of_cloudfront() -> None:
    told = [each["OriginCustomHeaders"] for each in _distribution()["Origins"] if "CustomOriginConfig" in each]
    assert len(told) == 2
    for (header,) in told:
        assert header["HeaderName"] == "x-kira-origin"
        assert "{{resolve:secretsmanager:" in json.dumps(header["HeaderValue"])
    for name in ("auth", "chat", "widgets", "stream"):
        assert "KIRA_ORIGIN_SECRET" in synth.function(name)["Environment"]["Variables"]


def test_no_bucket_is_public_and_only_this_cloudfront_reads_the_files() -> None:
    buckets = synth.resources("AWS::S3::Bucket")
    assert len(buckets) == 4
    for bucket in buckets.values():
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["Properties"]["BucketEncryption"]
    for policy in synth.resources("AWS::S3::BucketPolicy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Principal"] == {"AWS": "*"}:
                assert statement["Effect"] == "Deny"
    origins = [each for each in _distribution()["Origins"] if "S3OriginConfig" in each]
    assert all(each["OriginAccessControlId"] for each in origins)


def test_a_firewall_refuses_floods_and_lets_people_write_about_code() -> None:
    (acl,) = synth.resources("AWS::WAFv2::WebACL", "small").values()
    rate, common = acl["Properties"]["Rules"]
    assert rate["Action"] == {"Block": {}}
    assert rate["Statement"]["RateBasedStatement"]["Limit"] == 2000
    counted = common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert {"Name": "CrossSiteScripting_BODY", "ActionToUse": {"Count": {}}} in counted
    (front,) = synth.resources("AWS::CloudFront::Distribution", "small").values()
    assert front["Properties"]["DistributionConfig"]["WebACLId"]
    assert not synth.resources("AWS::WAFv2::WebACL")
