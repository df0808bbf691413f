"""The streams: a regional REST API that passes words on as they come, for at most 15 minutes at a time."""

from __future__ import annotations

import json

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_logs as logs
from constructs import Construct

from kira_cdk.api import RETENTION, Api
from kira_cdk.config import Config
from kira_cdk.functions import STREAM_SECONDS
from kira_cdk.part import Part
from kira_cdk.reasons import acknowledge
from kira_cdk.routes import STREAMED

STAGE = "live"
LOGS = "Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
ACCESS_LOG = {
    "at": "$context.requestTime",
    "request": "$context.requestId",
    "address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "took_ms": "$context.responseLatency",
}


class Stream(Part):
    """An HTTP API cannot stream; a REST API in STREAM mode can."""

    def __init__(self, scope: Construct, config: Config, api: Api) -> None:
        """Make the API of the streams of one Kira."""
        super().__init__(scope, config, "stream")
        log = logs.LogGroup(self, "Log", retention=RETENTION[config.log_days], removal_policy=RemovalPolicy.DESTROY)
        rate = config.requests_per_second
        self.rest = rest.RestApi(
            self,
            "Rest",
            rest_api_name=f"{config.name}-stream",
            endpoint_types=[rest.EndpointType.REGIONAL],
            cloud_watch_role=True,
            deploy_options=rest.StageOptions(
                stage_name=STAGE,
                tracing_enabled=True,
                logging_level=rest.MethodLoggingLevel.ERROR,
                throttling_rate_limit=rate,
                throttling_burst_limit=2 * rate,
                access_log_destination=rest.LogGroupLogDestination(log),
                access_log_format=rest.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
            ),
        )
        to = rest.LambdaIntegration(
            api.functions["stream"],
            response_transfer_mode=rest.ResponseTransferMode.STREAM,
            timeout=Duration.seconds(STREAM_SECONDS),
            allow_test_invoke=False,
        )
        for path in STREAMED:
            self.rest.root.resource_for_path(path).add_method("GET", to)
        acknowledge(self.rest, "APIG2", "Kira refuses what it does not understand, the same way in all its homes.")
        acknowledge(self.rest, "APIG3", "The firewall stands at CloudFront; nothing gets here past it.")
        acknowledge(self.rest, "APIG4", "Kira checks who is asking, the same way in all its homes.")
        acknowledge(self.rest, "COG4", "Kira has accounts of its own.")
        acknowledge(self.rest, "IAM4", "The role that API Gateway needs to write logs, as AWS writes it.", LOGS)
