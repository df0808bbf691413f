"""The dashboard and one address for everything: CloudFront before the bucket, the API and the streams."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, triggers
from aws_cdk import aws_certificatemanager as certificates
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from kira_cdk import site
from kira_cdk.api import RETENTION, Api
from kira_cdk.config import Config
from kira_cdk.data import Data
from kira_cdk.firewall import Firewall
from kira_cdk.headers import response_headers
from kira_cdk.part import Part
from kira_cdk.reasons import acknowledge, acknowledge_warning
from kira_cdk.storage import OLD, OLD_DAYS, bucket
from kira_cdk.stream import STAGE, Stream

ORIGIN_HEADER = "x-kira-origin"
UPLOAD = Path(__file__).parent / "upload"
# A path without a dot is a page of the dashboard, which finds its way itself: the rule of kira/web/files.py.
PAGES = """function handler(event) {
  var request = event.request;
  if (request.uri.indexOf('.') < 0 && !/^\\/(api|assets|icons)\\//.test(request.uri)) request.uri = '/index.html';
  return request;
}
"""

# Kira believes these two beside the secret of CloudFront: who asks, and by which name. A client's own are overwritten.
ASKS = """function handler(event) {
  var request = event.request;
  request.headers['cloudfront-viewer-address'] = { value: event.viewer.ip + ':0' };
  request.headers['x-forwarded-host'] = { value: request.headers.host.value };
  return request;
}
"""


class Dashboard(Part):
    """Nothing else has a public address that answers: the APIs ask for a secret that only CloudFront says."""

    def __init__(
        self, scope: Construct, config: Config, data: Data, api: Api, stream: Stream, firewall: Firewall | None
    ) -> None:
        """Make the front of one Kira."""
        super().__init__(
            scope, config, "dashboard", cross_region_references=firewall is not None and config.region != "us-east-1"
        )
        self._config, self._api, self._stream, self._data = config, api, stream, data
        self.bucket = self._bucket()
        self._headers = response_headers(self)
        self.distribution = self._distribution(firewall)
        self._upload()
        CfnOutput(self, "Address", value=config.address or f"https://{self.distribution.distribution_domain_name}")

    def _bucket(self) -> s3.Bucket:
        files = bucket(
            self,
            "Files",
            lifecycle_rules=[
                # Files of earlier versions stay for tabs that are still open; the upload marks them when they go.
                s3.LifecycleRule(id="old", tag_filters=OLD, expiration=Duration.days(OLD_DAYS))
            ],
        )
        acknowledge(files, "S1", "It holds the dashboard's files, which are the same for everybody.")
        return files

    def _distribution(self, firewall: Firewall | None) -> cloudfront.Distribution:
        config = self._config
        files = self._files_behaviour()
        described = self._files_behaviour(pages=False)
        events = self._api_behaviour(self._streams(), cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS)
        rest = self._api_behaviour(self._http(), cloudfront.AllowedMethods.ALLOW_ALL)
        distribution = cloudfront.Distribution(
            self,
            "Front",
            comment=f"Kira ({config.name})",
            default_root_object="index.html",
            default_behavior=files,
            additional_behaviors={
                "/api/events": events,
                "/api/runs/*/events": events,
                f"/{site.DESCRIPTION}": described,
                f"/{site.PAGE}": described,
                "/api/*": rest,
            },
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if config.certificate else None,
            price_class=cloudfront.PriceClass[config.price_class],
            domain_names=[config.domain] if config.domain else None,
            certificate=certificates.Certificate.from_certificate_arn(self, "Certificate", config.certificate)
            if config.certificate
            else None,
            web_acl_id=firewall.arn if firewall else None,
        )
        acknowledge_warning(
            distribution,
            "@aws-cdk/aws-cloudfront-origins:listBucketSecurityRisk",
            "A root object is set, and no page is ever the list of the bucket.",
        )
        acknowledge(distribution, "CFR1", "A user may be anywhere.")
        acknowledge(distribution, "CFR2", "The firewall is a choice of the configuration: $7 a month, on from `small`.")
        acknowledge(
            distribution,
            "CFR3",
            "Its log would hold what people search for; the APIs log every request without its query.",
        )
        acknowledge(
            distribution, "CFR4", "TLS 1.2 from the moment a domain of one's own is set; AWS fixes its own name."
        )
        return distribution

    def _files_behaviour(self, *, pages: bool = True) -> cloudfront.BehaviorOptions:
        return cloudfront.BehaviorOptions(
            origin=self._files(),
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            cache_policy=self._cache(),
            compress=True,
            response_headers_policy=self._headers,
            function_associations=self._first("Pages", PAGES) if pages else None,
        )

    def _api_behaviour(
        self, origin: cloudfront.IOrigin, methods: cloudfront.AllowedMethods
    ) -> cloudfront.BehaviorOptions:
        return cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            allowed_methods=methods,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            compress=False,  # a compressor would hold words back
            function_associations=self._first("Asks", ASKS),
            response_headers_policy=self._headers,
        )

    def _cache(self) -> cloudfront.CachePolicy:
        """Return the policy that does what the files themselves say: a year, or ask every time."""
        there = self.node.try_find_child("Cache")
        if isinstance(there, cloudfront.CachePolicy):
            return there
        return cloudfront.CachePolicy(
            self,
            "Cache",
            comment="Kira: as the file says",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.seconds(0),
            max_ttl=Duration.days(365),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )

    def _first(self, name: str, code: str) -> list[cloudfront.FunctionAssociation]:
        """Return what a request goes through first: $0.10 for a million."""
        function = self.node.try_find_child(name) or cloudfront.Function(
            self,
            name,
            comment=f"Kira: {name.lower()}",
            code=cloudfront.FunctionCode.from_inline(code),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        assert isinstance(function, cloudfront.Function)  # noqa: S101 - nothing else has this name
        first = cloudfront.FunctionEventType.VIEWER_REQUEST
        return [cloudfront.FunctionAssociation(function=function, event_type=first)]

    def _files(self) -> cloudfront.IOrigin:
        # With the right to list, a file that is missing is a 404; without it S3 says 403.
        return origins.S3BucketOrigin.with_origin_access_control(
            self.bucket, origin_access_levels=[cloudfront.AccessLevel.READ, cloudfront.AccessLevel.LIST]
        )

    def _http(self) -> cloudfront.IOrigin:
        domain = f"{self._api.http.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"
        return origins.HttpOrigin(domain, custom_headers=self._said(), read_timeout=Duration.seconds(60))

    def _streams(self) -> cloudfront.IOrigin:
        domain = f"{self._stream.rest.rest_api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"
        return origins.HttpOrigin(
            domain, origin_path=f"/{STAGE}", custom_headers=self._said(), read_timeout=Duration.seconds(60)
        )

    def _said(self) -> dict[str, str]:
        """Return the header that shows the APIs that a request came through here."""
        return {ORIGIN_HEADER: self._data.origin.secret_value.unsafe_unwrap()}

    def _upload(self) -> None:
        """Upload the files during the deploy, after the functions that they talk to are there."""
        source = assets.Asset(self, "Source", path=str(site.folder()))
        log = logs.LogGroup(
            self, "UploadLog", retention=RETENTION[self._config.log_days], removal_policy=RemovalPolicy.DESTROY
        )
        function = lambda_.Function(
            self,
            "Upload",
            description="Kira: uploads the dashboard during a deploy",
            code=lambda_.Code.from_asset(str(UPLOAD), exclude=["**/__pycache__"]),
            handler="handler.handler",
            runtime=self._api.runtime,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=512,
            timeout=Duration.minutes(5),
            role=self._upload_role(source, log),
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            environment={
                "SOURCE_BUCKET": source.s3_bucket_name,
                "SOURCE_KEY": source.s3_object_key,
                "TARGET": self.bucket.bucket_name,
            },
        )
        acknowledge(function, "L1", "The Python of the functions is the one that they were rehearsed with.")
        triggers.Trigger(self, "Uploaded", handler=function, timeout=Duration.minutes(5), execute_after=[self.bucket])

    def _upload_role(self, source: assets.Asset, log: logs.LogGroup) -> iam.Role:
        role = iam.Role(
            self,
            "UploadRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Kira: uploads the dashboard",
        )
        archive = f"arn:{Aws.PARTITION}:s3:::{source.s3_bucket_name}/{source.s3_object_key}"
        put = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"]
        for allowed, places in (
            (["s3:GetObject"], [archive]),
            (put, [f"{self.bucket.bucket_arn}/*"]),
            (["s3:ListBucket"], [self.bucket.bucket_arn]),
            (["logs:CreateLogStream", "logs:PutLogEvents"], [log.log_group_arn]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=allowed, resources=places))
        acknowledge(role, "IAM5", "Every file of the dashboard.", "Resource::<Files8E6940B8.Arn>/*")
        return role
