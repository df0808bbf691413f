"""An Auto Scaling group with one instance, as far as that instance sees it: its metadata, and AWS's answers over HTTP.

moto answers but for the two actions of a lifecycle hook, which it does not know; these are answered here.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import boto3  # type: ignore[import-untyped]
from aiohttp import web
from tests.aws import CREDENTIALS, PATIENCE_SECONDS, SECRET
from tests.fleet.metadata import Metadata

GROUP, HOOK = "kira-fleet", "kira-drain"
HOP_BY_HOP = frozenset({"transfer-encoding", "content-length", "connection"})


@dataclass
class Cloud:
    """One instance of the group; `told` are the actions that were called, in order."""

    moto: str
    endpoint: str = ""
    metadata: Metadata = field(default_factory=lambda: Metadata(""))
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def environment(self) -> dict[str, str]:
        """In which a worker of the group finds everything."""
        own = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.endpoint}
        return CREDENTIALS | own | {"AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a worker of the group."""
        return self.environment | {"KIRA_FLEET": GROUP, "KIRA_LIFECYCLE_HOOK": HOOK}

    def client(self, service: str) -> Any:
        """Return an official client of moto itself."""
        return boto3.client(
            service,
            endpoint_url=self.moto,
            region_name="us-east-1",
            aws_access_key_id="kira",
            aws_secret_access_key=SECRET,
        )

    @property
    def instance(self) -> dict[str, Any]:
        """What the group knows of the instance."""
        found = self.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[self.metadata.instance_id])
        return dict(found["AutoScalingInstances"][0])

    def actions(self, *names: str) -> list[str]:
        """Return those of `names` that were called, in order."""
        return [name for name, _ in self.told if name in names]

    def measured(self, name: str) -> list[float]:
        """Return the values of a metric of the group."""
        now = datetime.now(UTC)
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace="Kira",
            MetricName=name,
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": GROUP}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Maximum"],
        )
        return [each["Maximum"] for each in found["Datapoints"]]

    def make(self) -> None:
        """Make the group, its hook and its one instance."""
        scaling, ec2 = self.client("autoscaling"), self.client("ec2")
        image = ec2.describe_images()["Images"][0]["ImageId"]
        scaling.create_launch_configuration(
            LaunchConfigurationName=GROUP,
            ImageId=image,
            InstanceType="g6.xlarge",
            InstanceMonitoring={"Enabled": False},
        )
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            LaunchConfigurationName=GROUP,
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=1,
            AvailabilityZones=["us-east-1a"],
        )
        hook = {"AutoScalingGroupName": GROUP, "LifecycleHookName": HOOK}
        scaling.put_lifecycle_hook(**hook, LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING")
        (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        self.metadata = Metadata(found["Instances"][0]["InstanceId"])

    async def serve(self) -> None:
        """Answer until `stop`."""
        app = web.Application(client_max_size=1 << 30)
        app.add_routes([*self.metadata.routes(), web.route("*", "/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Answer no more."""
        assert self._runner is not None
        self.metadata.ended.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        form = {}
        if b"Action=" in body[:2000]:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        action = form.get("Action") or request.headers.get("X-Amz-Target") or request.path.rpartition("/")[2]
        self.told.append((action.rpartition(".")[2], form))
        if action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"):
            return self._hooked(action, form)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP - {"content-encoding"}
        }
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, self.moto + request.path_qs, data=body, headers=headers) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if request.method == "HEAD":  # its length is that of what it does not send
                kept["Content-Length"] = answer.headers.get("Content-Length", "0")
                told = web.StreamResponse(status=answer.status, headers=kept)
                await told.prepare(request)
                return told
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def _hooked(self, action: str, form: dict[str, str]) -> web.Response:
        known = {"AutoScalingGroupName": GROUP, "LifecycleHookName": HOOK, "InstanceId": self.metadata.instance_id}
        is_going = self.metadata.items["autoscaling/target-lifecycle-state"] == "Terminated"
        is_result = action != "CompleteLifecycleAction" or form.get("LifecycleActionResult") in ("CONTINUE", "ABANDON")
        if {name: form.get(name) for name in known} != known or not is_going or not is_result:
            told = f"No active Lifecycle Action found with instance ID {form.get('InstanceId')}"
            error = f"<Error><Type>Sender</Type><Code>ValidationError</Code><Message>{told}</Message></Error>"
            return web.Response(status=400, text=f"<ErrorResponse>{error}</ErrorResponse>", content_type="text/xml")
        text = f"<{action}Response><{action}Result/></{action}Response>"
        return web.Response(text=text, content_type="text/xml")


@contextmanager
def open_cloud(moto: str) -> Iterator[Cloud]:
    """Run it beside the test, in a thread of its own, until the block ends; `moto` forgets all it had before."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    cloud = Cloud(moto)
    cloud.make()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(cloud.serve(), loop).result(PATIENCE_SECONDS)
        yield cloud
    finally:
        asyncio.run_coroutine_threadsafe(cloud.stop(), loop).result(PATIENCE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
