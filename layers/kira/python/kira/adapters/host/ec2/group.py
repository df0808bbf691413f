"""What an instance tells its Auto Scaling group and CloudWatch; a call that fails is told and not raised."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from kira.adapters.host.ec2.metadata import Metadata, identity

log = logging.getLogger("kira.host")

NAMESPACE = "Kira"
PATIENCE = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


class Group:
    """The group `name`, as the instance that `metadata` describes speaks with it."""

    def __init__(self, name: str, metadata: Metadata) -> None:
        """Ask nobody yet."""
        self._name = name
        self._metadata = metadata
        self._identity: tuple[str, str] | None = None
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    async def measure(self, values: dict[str, tuple[float, str]]) -> bool:
        """Publish values with their units, for the whole group, in one call."""
        dimensions = [{"Name": "AutoScalingGroupName", "Value": self._name}]
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": unit}
            for name, (value, unit) in values.items()
        ]
        return await self._call("cloudwatch", "put_metric_data", Namespace=NAMESPACE, MetricData=data)

    async def protect(self, *, on: bool) -> bool:
        """Keep the group from taking this instance when it shrinks, or no longer."""
        own = await self._own()
        named = {"AutoScalingGroupName": self._name, "InstanceIds": [own and own[0]]}
        return await self._call("autoscaling", "set_instance_protection", **named, ProtectedFromScaleIn=on)

    async def beat(self, hook: str) -> bool:
        """Say that the worker is still finishing, so that `hook` goes on waiting."""
        return await self._call("autoscaling", "record_lifecycle_action_heartbeat", **await self._action(hook))

    async def complete(self, hook: str) -> bool:
        """Say that `hook` need not wait any longer."""
        given = {**await self._action(hook), "LifecycleActionResult": "CONTINUE"}
        return await self._call("autoscaling", "complete_lifecycle_action", **given)

    async def replace(self) -> bool:
        """Ask for another instance in place of this one, now and not only after the time that new ones have."""
        own = await self._own()
        given = {"InstanceId": own and own[0], "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
        return await self._call("autoscaling", "set_instance_health", **given)

    async def _action(self, hook: str) -> dict[str, object]:
        own = await self._own()
        return {"LifecycleHookName": hook, "AutoScalingGroupName": self._name, "InstanceId": own and own[0]}

    async def _call(self, service: str, action: str, **given: object) -> bool:
        own = await self._own()
        if own is None:
            return False  # who this is was not said; it is asked again with the next call
        try:
            await asyncio.to_thread(self._send, service, action, own[1], given)
        except (BotoCoreError, ClientError) as error:
            log.warning("%s of %s failed: %s", action, self._name, error)
            return False
        return True

    def _send(self, service: str, action: str, region: str, given: dict[str, object]) -> None:
        if service not in self._clients:
            session = self._session or boto3.session.Session()  # one of its own: the default one is for everybody
            self._session = session
            self._clients[service] = session.client(service, region_name=region, config=PATIENCE)
        getattr(self._clients[service], action)(**given)

    async def _own(self) -> tuple[str, str] | None:
        if self._identity is None:
            self._identity = await identity(self._metadata)
        return self._identity
