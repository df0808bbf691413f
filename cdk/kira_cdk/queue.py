"""The queues: hints that a run waits, for the fleet and for hosted providers, and what was never taken."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from kira_cdk.config import Config
from kira_cdk.functions import BY_NAME
from kira_cdk.part import Part

RECEIVES_MAX = 5
FLEET_VISIBILITY_SECONDS = 120  # a worker says every 40 seconds that it still works
HOSTED_VISIBILITY_SECONDS = 6 * BY_NAME["agent"].seconds  # what Lambda asks for


class Queue(Part):
    """Standard queues; a message carries only the id of a run. The group of alarms lies here too."""

    def __init__(self, scope: Construct, config: Config) -> None:
        """Make the queues of one Kira."""
        super().__init__(scope, config, "queue")
        self.fleet, self.fleet_lost = self._queue("Fleet", FLEET_VISIBILITY_SECONDS)
        self.hosted, self.hosted_lost = self._queue("Hosted", HOSTED_VISIBILITY_SECONDS)
        self.alarms = f"{config.name}-alarms"
        scheduler.ScheduleGroup(self, "Alarms", schedule_group_name=self.alarms, removal_policy=RemovalPolicy.DESTROY)

    def _queue(self, name: str, seconds: int) -> tuple[sqs.Queue, sqs.Queue]:
        lost = sqs.Queue(
            self,
            f"{name}Lost",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(seconds),
            receive_message_wait_time=Duration.seconds(20),
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=lost, max_receive_count=RECEIVES_MAX),
        )
        return queue, lost
