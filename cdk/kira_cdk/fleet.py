"""The GPU fleet: an Auto Scaling group that starts at nothing, follows the slots that are taken, and drains."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from kira_cdk import layers
from kira_cdk.api import Api
from kira_cdk.config import Config, WrongConfiguration
from kira_cdk.data import DATABASE, Data
from kira_cdk.network import Network
from kira_cdk.part import Part
from kira_cdk.queue import Queue
from kira_cdk.reasons import acknowledge
from kira_cdk.rights import NAMESPACE
from kira_cdk.storage import Storage

IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
SCRIPT = layers.ROOT / "deploy" / "fleet" / "user_data.sh"
PARAMETERS = "/etc/kira/fleet.env"
HOOK = "kira-drain"
DRAIN_SECONDS = 900  # a run may last that long; a spot instance has two minutes whatever is said here
WARM_SECONDS = 300
USER_DATA_BYTES_MAX = 16_384


class GpuFleet(Part):
    """One Ollama and one worker on each instance; the script in deploy/fleet brings them up."""

    def __init__(
        self, scope: Construct, config: Config, network: Network, data: Data, storage: Storage, queue: Queue, api: Api
    ) -> None:
        """Make the fleet of one Kira."""
        super().__init__(scope, config, "fleet")
        self.add_stack_dependency(api, "Workers of a version start when its schema is there.")
        self.name = f"{config.name}-fleet"
        self._config, self._network, self._data, self._storage, self._queue = config, network, data, storage, queue
        bundle = layers.bundle()
        self._wheel = assets.Asset(self, "Wheel", path=str(bundle), asset_hash=layers.digest_of(bundle))
        self.group = self._group(self._template())
        self.group.add_lifecycle_hook(
            "Drain",
            lifecycle_hook_name=HOOK,
            lifecycle_transition=autoscaling.LifecycleTransition.INSTANCE_TERMINATING,
            heartbeat_timeout=Duration.seconds(DRAIN_SECONDS),
            default_result=autoscaling.DefaultResult.CONTINUE,
        )
        self.utilisation = cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name="SlotUtilisation",
            dimensions_map={"AutoScalingGroupName": self.name},
            period=Duration.minutes(1),
            statistic="Average",
        )
        self._scale()

    def _template(self) -> ec2.LaunchTemplate:
        fleet = self._config.fleet
        image = (
            ec2.MachineImage.generic_linux({self._config.region: fleet.image})
            if fleet.image
            else ec2.MachineImage.from_ssm_parameter(IMAGE, os=ec2.OperatingSystemType.LINUX)
        )
        return ec2.LaunchTemplate(
            self,
            "Template",
            machine_image=image,
            instance_type=ec2.InstanceType(fleet.types[0]),
            role=self._role(),
            security_group=self._network.fleet,
            associate_public_ip_address=True,
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            instance_metadata_tags=True,
            user_data=ec2.UserData.custom(self._user_data()),
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        fleet.disk_gb, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
        )

    def _user_data(self) -> str:
        """Return the script of deploy/fleet behind the file of its parameters."""
        script = SCRIPT.read_text()
        if len(script.encode()) > USER_DATA_BYTES_MAX - 3000:
            raise WrongConfiguration(f"{SCRIPT.name} is too long for user data: shorten it.")
        lines = "\n".join(f"{name}={value}" for name, value in self._parameters().items())
        begin = f"#!/bin/bash\ninstall -d -m 0755 /etc/kira\ncat > {PARAMETERS} <<'END'\n{lines}\nEND\n"
        return begin + script.removeprefix("#!/bin/bash\n")

    def _parameters(self) -> dict[str, str]:
        fleet, data = self._config.fleet, self._data
        return {
            "KIRA_REGION": Aws.REGION,
            "KIRA_DATABASE_HOST": data.host,
            "KIRA_DATABASE_NAME": DATABASE,
            "KIRA_DATABASE_SECRET": data.user_secret.secret_arn,
            "KIRA_MASTER_KEY_SECRET": data.master_key.secret_arn,
            "KIRA_QUEUE": self._queue.fleet.queue_url,
            "KIRA_QUEUE_HOSTED": self._queue.hosted.queue_url,
            "KIRA_HOSTED_MODELS": ",".join(self._config.hosted_models),
            "KIRA_STREAM": self._config.stream,
            "KIRA_FLEET": self.name,
            "KIRA_MODELS": ",".join(fleet.models),
            "KIRA_WEIGHTS": f"s3://{self._storage.weights.bucket_name}/weights",
            "KIRA_OLLAMA_VERSION": fleet.ollama,
            "KIRA_WHEEL": self._wheel.s3_object_url,
            "KIRA_LIFECYCLE_HOOK": HOOK,
        }

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description="Kira: a worker of the fleet",
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")],
        )
        for allowed, places, condition in self._rights():
            role.add_to_policy(iam.PolicyStatement(actions=allowed, resources=places, conditions=condition))
        managed = "Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore"
        acknowledge(role, "IAM4", "Sessions through SSM instead of SSH: no port is open and no key exists.", managed)
        acknowledge(
            role,
            "IAM5",
            "All weights; its own group, whose id AWS makes up; metrics only of the namespace Kira.",
            f"Resource::{self._config.name}-storage:ExportsOutputFnGetAttWeights79DEE8EFArn34D27ADE/*",
            "Resource::arn:<AWS::Partition>:autoscaling:<AWS::Region>:<AWS::AccountId>:autoScalingGroup:*:"
            f"autoScalingGroupName/{self.name}",
            "Resource::*",
        )
        return role

    def _rights(self) -> list[tuple[list[str], list[str], dict[str, Any]]]:
        """Return what a worker may do, where, and on which condition."""
        groups = f"arn:{Aws.PARTITION}:autoscaling:{Aws.REGION}:{Aws.ACCOUNT_ID}:autoScalingGroup"
        group = f"{groups}:*:autoScalingGroupName/{self.name}"
        weights = self._storage.weights.bucket_arn
        wheel = f"arn:{Aws.PARTITION}:s3:::{self._wheel.s3_bucket_name}/{self._wheel.s3_object_key}"
        take = [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",  # a hint that comes too early is sent again for later
        ]
        watch = [
            "autoscaling:CompleteLifecycleAction",
            "autoscaling:RecordLifecycleActionHeartbeat",
            "autoscaling:SetInstanceHealth",
            "autoscaling:SetInstanceProtection",
        ]
        return [
            (
                ["secretsmanager:GetSecretValue"],
                [self._data.user_secret.secret_arn, self._data.master_key.secret_arn],
                {},
            ),
            (["kms:Decrypt"], [self._data.key.key_arn], {"Null": {"kms:EncryptionContext:user": "false"}}),
            (take, [self._queue.fleet.queue_arn], {}),
            (["s3:GetObject"], [f"{weights}/*", wheel], {}),
            (["s3:ListBucket"], [weights], {}),
            (watch, [group], {}),
            (["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}),
        ]

    def _group(self, template: ec2.LaunchTemplate) -> autoscaling.AutoScalingGroup:
        fleet = self._config.fleet
        group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=self.name,
            vpc=self._network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="fleet"),
            mixed_instances_policy=autoscaling.MixedInstancesPolicy(
                launch_template=template,
                launch_template_overrides=[
                    autoscaling.LaunchTemplateOverrides(instance_type=ec2.InstanceType(kind)) for kind in fleet.types
                ],
                instances_distribution=autoscaling.InstancesDistribution(
                    on_demand_base_capacity=fleet.on_demand,
                    on_demand_percentage_above_base_capacity=0,
                    spot_allocation_strategy=autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
                    on_demand_allocation_strategy=autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
                ),
            ),
            min_capacity=fleet.least,
            max_capacity=fleet.most,
            new_instances_protected_from_scale_in=True,
            capacity_rebalance=True,
            default_instance_warmup=Duration.seconds(WARM_SECONDS),
            group_metrics=[autoscaling.GroupMetrics.all()],
            update_policy=autoscaling.UpdatePolicy.rolling_update(
                max_batch_size=1,
                min_instances_in_service=max(0, min(fleet.least, fleet.most - 1)),
                wait_on_resource_signals=False,
            ),
        )
        acknowledge(group, "EC26", "The rule cannot read a launch template; its one volume is encrypted.")
        acknowledge(group, "AS3", "Instances come and go all day; the alarms tell when it matters.")
        return group

    def _scale(self) -> None:
        """Follow the slots; and start from nothing, where there is no slot to measure."""
        self.group.scale_to_track_metric(
            "Slots",
            metric=self.utilisation,
            target_value=self._config.fleet.utilisation,
            estimated_instance_warmup=Duration.seconds(WARM_SECONDS),
        )
        asleep = cloudwatch.MathExpression(
            expression="IF(FILL(desired, 0) < 1 AND FILL(visible, 0) > 0, 1, 0)",
            using_metrics={
                "desired": self.metric("GroupDesiredCapacity"),
                "visible": self._queue.fleet.metric_approximate_number_of_messages_visible(
                    period=Duration.minutes(1), statistic="Maximum"
                ),
            },
            period=Duration.minutes(1),
            label="Runs wait and no instance is there",
        )
        alarm = cloudwatch.Alarm(
            self,
            "Wake",
            alarm_description="Kira: runs wait and no GPU instance is there: start one.",
            metric=asleep,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        step = autoscaling.StepScalingAction(
            self,
            "First",
            auto_scaling_group=self.group,
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            metric_aggregation_type=autoscaling.MetricAggregationType.MAXIMUM,
        )
        step.add_adjustment(adjustment=1, lower_bound=0)
        alarm.add_alarm_action(actions.AutoScalingAction(step))

    def metric(self, name: str) -> cloudwatch.Metric:
        """Return a metric that the group publishes about itself."""
        return cloudwatch.Metric(
            namespace="AWS/AutoScaling",
            metric_name=name,
            dimensions_map={"AutoScalingGroupName": self.name},
            period=Duration.minutes(1),
            statistic="Maximum",
        )
