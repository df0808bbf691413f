"""The functions and the HTTP API in front of them; a new schema is in place before new functions are."""

from __future__ import annotations

import json

from aws_cdk import Annotations, Aws, CfnRule, Duration, Fn, RemovalPolicy, triggers
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from kira_cdk import layers, routes
from kira_cdk.config import Config
from kira_cdk.data import Data
from kira_cdk.functions import BY_NAME, FUNCTIONS, Function
from kira_cdk.network import Network
from kira_cdk.part import Part
from kira_cdk.queue import Queue
from kira_cdk.reasons import acknowledge
from kira_cdk.rights import Rights
from kira_cdk.storage import Storage

ADAPTER = "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerArm64:{version}"
ADAPTER_ENVIRONMENT = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
    "AWS_LWA_INVOKE_MODE": "response_stream",
    "AWS_LWA_PORT": "8080",
    "AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp",
}
ACCESS_LOG = {
    # A path, never a query: what people search for is theirs.
    "at": "$context.requestTime",
    "request": "$context.requestId",
    "address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.routeKey",
    "status": "$context.status",
    "took_ms": "$context.responseLatency",
    "error": "$context.integrationErrorMessage",
}
RETENTION = {
    days: getattr(logs.RetentionDays, name)
    for days, name in ((30, "ONE_MONTH"), (90, "THREE_MONTHS"), (365, "ONE_YEAR"))
}


class Api(Part):
    """Every function, so that a layer is never shared between stacks: its address changes with each version of Kira."""

    def __init__(
        self, scope: Construct, config: Config, network: Network, data: Data, storage: Storage, queue: Queue
    ) -> None:
        """Make the functions of one Kira and the API that calls them."""
        super().__init__(scope, config, "api")
        self.config, self._network = config, network
        self.python = config.python or layers.python_here()
        self._layers = self._make_layers()
        self.rights = Rights(self, config, data, storage, queue)
        self.functions = {each.name: self._function(each) for each in FUNCTIONS}
        self.rights.close()
        self._migrate()
        self._take(queue)
        self.http = self._http()

    def _make_layers(self) -> list[lambda_.LayerVersion]:
        dependencies, kira = (
            layers.dependencies(self.python, redis=self.config.stream != "table"),
            layers.kira(self.python),
        )
        self._refuse_what_cannot_start(layers.glibc_needed(dependencies))
        return [
            lambda_.LayerVersion(
                self,
                name,
                code=lambda_.Code.from_asset(str(folder), asset_hash=layers.digest_of(folder)),
                description=told,
                compatible_architectures=[lambda_.Architecture.ARM_64],
                compatible_runtimes=[self.runtime],
                removal_policy=RemovalPolicy.RETAIN,  # a rollback needs it again
            )
            for name, folder, told in (
                ("Dependencies", dependencies, "The libraries of locks/layer.txt"),
                ("Kira", kira, "Kira itself"),
            )
        ]

    def _refuse_what_cannot_start(self, needed: tuple[int, int]) -> None:
        """Stop a deploy whose functions could not load their libraries; a rehearsal may still use the template."""
        there = layers.GLIBC[self.python]
        if needed <= there:
            return
        told = (
            f"Python {self.python} on Lambda has glibc {there[0]}.{there[1]}, the libraries need "
            f"{needed[0]}.{needed[1]}. "
            'Synthesise with Python 3.12 or newer, or set "python": "3.13" in cdk.json (the layers then carry no '
            "bytecode and start slower)."
        )
        Annotations.of(self).add_warning_v2("kira:glibc", told)
        new_enough = [python for python, glibc in layers.GLIBC.items() if glibc >= needed]
        asserted = {"assert": Fn.condition_contains(new_enough, self.python), "assertDescription": told}
        CfnRule(self, "PythonIsNewEnough", assertions=[asserted])

    @property
    def runtime(self) -> lambda_.Runtime:
        """The runtime of every function."""
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)

    def _function(self, table: Function) -> lambda_.Function:
        name = f"{self.config.name}-{table.name}"
        log_group = logs.LogGroup(
            self,
            f"{table.name}-log",
            log_group_name=f"/aws/lambda/{name}",
            retention=RETENTION[self.config.log_days],
            removal_policy=RemovalPolicy.DESTROY,
        )
        streams = table.name == "stream"
        function = lambda_.Function(
            self,
            table.name,
            function_name=name,
            description=f"Kira: {table.told}",
            code=lambda_.Code.from_asset(str(layers.ROOT / "functions" / table.name), exclude=["**/__pycache__"]),
            handler="run.sh" if streams else "handler.handler",
            runtime=self.runtime,
            architecture=lambda_.Architecture.ARM_64,
            layers=[*self._layers, *([self._adapter()] if streams else [])],
            memory_size=table.memory_mb,
            timeout=Duration.seconds(table.seconds),
            reserved_concurrent_executions=table.reserved if self.config.reserved else None,
            role=self.rights.role(table, log_group),
            environment=self.rights.environment(table) | (ADAPTER_ENVIRONMENT if streams else {}),
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            vpc=self._network.vpc,
            vpc_subnets={"subnet_group_name": "functions"},
            security_groups=[self._network.functions],
            ipv6_allowed_for_dual_stack=True,
        )
        # Not `tracing=`: it would write a policy of its own, and every right stands in the table.
        _cfn(function).tracing_config = lambda_.CfnFunction.TracingConfigProperty(mode="Active")
        acknowledge(
            function,
            "L1",
            "The Python of the functions is the one that they were rehearsed with; docs/aws.md says how to choose it.",
        )
        return function

    def _adapter(self) -> lambda_.ILayerVersion:
        arn = ADAPTER.format(partition=Aws.PARTITION, region=Aws.REGION, version=self.config.adapter)
        return lambda_.LayerVersion.from_layer_version_arn(self, "Adapter", arn)

    def _migrate(self) -> None:
        """Bring the schema to this version first; when that fails, CloudFormation puts everything back."""
        others = [function for name, function in self.functions.items() if name != "migrate"]
        triggers.Trigger(
            self, "Schema", handler=self.functions["migrate"], timeout=Duration.minutes(15), execute_before=others
        )

    def _take(self, queue: Queue) -> None:
        """Give the agent the runs of hosted models. Not an event source: that would add rights of its own."""
        lambda_.EventSourceMapping(
            self,
            "Hosted",
            target=self.functions["agent"],
            event_source_arn=queue.hosted.queue_arn,
            enabled=bool(self.config.hosted),  # asking an empty queue all month costs something too
            batch_size=1,
            report_batch_item_failures=True,
            max_concurrency=BY_NAME["agent"].reserved if self.config.reserved else 2,
        )

    def _http(self) -> http.HttpApi:
        api = http.HttpApi(self, "Http", api_name=f"{self.config.name}-http", create_default_stage=False)
        log = logs.LogGroup(
            self, "HttpLog", retention=RETENTION[self.config.log_days], removal_policy=RemovalPolicy.DESTROY
        )
        rate = self.config.requests_per_second
        http.CfnStage(
            self,
            "HttpStage",
            api_id=api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=http.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=rate, throttling_burst_limit=2 * rate
            ),
            access_log_settings=http.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(ACCESS_LOG)
            ),
        )
        for name, paths in routes.by_function().items():
            to = integrations.HttpLambdaIntegration(
                f"{name}-integration", self.functions[name], scope_permission_to_route=False
            )
            for path in paths:
                if path == routes.OTHERWISE:
                    # The right to call by any route needs a method in its name, and this one has none.
                    to = integrations.HttpLambdaIntegration("otherwise-integration", self.functions[name])
                    refused = http.HttpRoute(
                        self, "Otherwise", http_api=api, route_key=http.HttpRouteKey.DEFAULT, integration=to
                    )
                    acknowledge(refused, "APIG4", "It only refuses, in the words of Kira.")
                else:
                    api.add_routes(path=path, methods=[http.HttpMethod.ANY], integration=to)
        acknowledge(api, "APIG4", "Kira checks who is asking, the same way in all its homes; sign-in has no token yet.")
        return api


def _cfn(function: lambda_.Function) -> lambda_.CfnFunction:
    child = function.node.default_child
    assert isinstance(child, lambda_.CfnFunction)  # noqa: S101 - what a function is made of
    return child
