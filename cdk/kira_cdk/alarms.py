"""The alarms and the board, which say whether Kira is slow, broken, full, or expensive."""

from __future__ import annotations

from aws_cdk import Aws, Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from kira_cdk.api import Api
from kira_cdk.config import Config
from kira_cdk.data import Data
from kira_cdk.fleet import GpuFleet
from kira_cdk.part import Part
from kira_cdk.queue import Queue
from kira_cdk.reasons import acknowledge
from kira_cdk.stream import Stream

MINUTE = Duration.minutes(1)
FIVE = Duration.minutes(5)
SLOW_MS = 2_000
WAITED_SECONDS = 180
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


class Alarms(Part):
    """Ten alarms at $0.10 a month, a budget (free), and a board where the configuration asks for one."""

    def __init__(
        self, scope: Construct, config: Config, data: Data, queue: Queue, api: Api, stream: Stream, fleet: GpuFleet
    ) -> None:
        """Watch one Kira."""
        super().__init__(scope, config, "alarms")
        self.topic = sns.Topic(self, "Topic", display_name=f"Kira ({config.name})", enforce_ssl=True)
        acknowledge(self.topic, "SNS2", "It carries the names of alarms; a key for it would cost more than the alarms.")
        for service in ("cloudwatch.amazonaws.com", "budgets.amazonaws.com"):
            # A topic with a policy of its own no longer lets the services of the account speak by itself.
            here = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            self.topic.grant_publish(iam.ServicePrincipal(service, conditions=here))
        if config.alarms_to:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.alarms_to))
        self.alarms: list[cloudwatch.Alarm] = []
        self._broken(queue, api, stream)
        self._slow(queue, api)
        self._full(config, data, api, fleet)
        self._expensive(config)
        if config.board:
            self._board(config, data, queue, api, fleet)

    def _broken(self, queue: Queue, api: Api, stream: Stream) -> None:
        errors = {
            name.replace("-", ""): function.metric_errors(period=FIVE) for name, function in api.functions.items()
        }
        self._alarm("Errors", "a function failed five times in five minutes", _sum(errors), 5)
        self._alarm(
            "Http",
            "the API answered with 5xx ten times in five minutes",
            api.http.metric_server_error(period=FIVE, statistic="Sum"),
            10,
        )
        self._alarm(
            "Streams",
            "streams failed ten times in five minutes",
            stream.rest.metric_server_error(period=FIVE, statistic="Sum"),
            10,
        )
        lost = {
            "fleet": queue.fleet_lost.metric_approximate_number_of_messages_visible(period=FIVE),
            "hosted": queue.hosted_lost.metric_approximate_number_of_messages_visible(period=FIVE),
        }
        self._alarm("Lost", "a hint was taken five times and never done: see docs/aws.md", _sum(lost), 1)

    def _slow(self, queue: Queue, api: Api) -> None:
        self._alarm(
            "Slow",
            "one request in twenty takes longer than 2 seconds",
            api.http.metric_latency(period=FIVE, statistic="p95"),
            SLOW_MS,
            3,
        )
        waited = queue.fleet.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="Maximum")
        self._alarm("Waited", "a run waits for three minutes: is there a GPU?", waited, WAITED_SECONDS, 5)

    def _full(self, config: Config, data: Data, api: Api, fleet: GpuFleet) -> None:
        throttles = {name: function.metric_throttles(period=FIVE) for name, function in api.functions.items()}
        self._alarm("Throttled", "requests were refused for want of concurrency", _sum(throttles), 5)
        database = data.cluster.metric("ACUUtilization", period=FIVE, statistic="Average")
        self._alarm("Database", "the database is at its ceiling: raise database_ceiling", database, 90, 3)
        most = cloudwatch.MathExpression(
            expression=f"IF(FILL(there, 0) >= {config.fleet.most}, used, 0)",
            using_metrics={"there": fleet.metric("GroupInServiceInstances"), "used": fleet.utilisation},
            period=MINUTE,
            label="Slots taken while the fleet is at its largest",
        )
        self._alarm("Fleet", "all slots of the largest fleet are taken: raise fleet.most", most, 95, 10)

    def _expensive(self, config: Config) -> None:
        subscriber = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self.topic.topic_arn)
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{config.name}-monthly",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=config.budget, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN", notification_type=kind, threshold=percent
                    ),
                    subscribers=[subscriber],
                )
                for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
            ],
        )

    def _alarm(self, name: str, told: str, metric: cloudwatch.IMetric, threshold: float, periods: int = 1) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=f"Kira: {told}.",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=AT_LEAST,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.alarms.append(alarm)

    def _board(self, config: Config, data: Data, queue: Queue, api: Api, fleet: GpuFleet) -> None:
        def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
            return cloudwatch.GraphWidget(title=title, left=list(metrics), width=12)

        board = cloudwatch.Dashboard(self, "Board", dashboard_name=config.name)
        board.add_widgets(cloudwatch.AlarmStatusWidget(title="Is anything wrong?", alarms=self.alarms, width=24))
        board.add_widgets(
            graph(
                "Slow? Answers of the API, 95 of 100",
                *(each.metric_duration(period=FIVE, statistic="p95") for each in api.functions.values()),
            ),
            graph(
                "Slow? How long the oldest run waits",
                queue.fleet.metric_approximate_age_of_oldest_message(period=MINUTE),
            ),
        )
        board.add_widgets(
            graph(
                "Broken? Failures of functions", *(each.metric_errors(period=FIVE) for each in api.functions.values())
            ),
            graph("Full? Slots of the fleet", fleet.utilisation),
        )
        board.add_widgets(
            graph("Full? The database", data.cluster.metric("ServerlessDatabaseCapacity", period=FIVE)),
            graph("Expensive? GPU instances", fleet.metric("GroupInServiceInstances")),
        )


def _sum(metrics: dict[str, cloudwatch.Metric]) -> cloudwatch.MathExpression:
    expression = " + ".join(f"FILL({name}, 0)" for name in metrics)
    return cloudwatch.MathExpression(expression=expression, using_metrics=dict(metrics), period=FIVE)
