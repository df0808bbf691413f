"""What EC2 answers an instance about itself (IMDSv2), over HTTP, as its documentation says."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from aiohttp import web

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
TTL_SECONDS_MAX = 21_600


@dataclass
class Metadata:
    """The items of one instance; one that is None is not there. `mood` is how the service itself is."""

    instance_id: str
    items: dict[str, str] = field(default_factory=dict)
    mood: Literal["well", "silent", "broken"] = "well"
    tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Be an instance that nobody wants back."""
        self.items |= {"instance-id": self.instance_id, "placement/region": "us-east-1"}
        self.items["autoscaling/target-lifecycle-state"] = "InService"

    def interrupt(self, seconds: float = 120) -> None:
        """Give notice that the spot instance goes in `seconds`."""
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        told = {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.items["spot/instance-action"] = json.dumps(told)

    def recommend(self) -> None:
        """Say that the spot instance is at risk."""
        self.items["events/recommendations/rebalance"] = json.dumps({"noticeTime": "2026-11-25T08:22:00Z"})

    def terminate(self) -> None:
        """Say that the Auto Scaling group is on the way to take the instance out."""
        self.items["autoscaling/target-lifecycle-state"] = "Terminated"

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered where."""
        return [web.put("/latest/api/token", self._token), web.get("/latest/meta-data/{path:.*}", self._read)]

    async def _token(self, request: web.Request) -> web.Response:
        if (unwell := await self._unwell()) is not None:
            return unwell
        ttl = request.headers.get(TTL, "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= TTL_SECONDS_MAX:
            return web.Response(status=400)
        if "X-Forwarded-For" in request.headers:
            return web.Response(status=403)
        token = secrets.token_urlsafe(32)
        self.tokens.add(token)
        return web.Response(text=token, headers={TTL: ttl})

    async def _read(self, request: web.Request) -> web.Response:
        if (unwell := await self._unwell()) is not None:
            return unwell
        path = request.match_info["path"]
        if request.headers.get(TOKEN) not in self.tokens:
            self.refused.append(path)
            return web.Response(status=401)
        self.asked.append(path)
        found = self.items.get(path)
        return web.Response(status=404) if found is None else web.Response(text=found)

    async def _unwell(self) -> web.Response | None:
        if self.mood == "silent":
            await self.ended.wait()
        return web.Response(status=503) if self.mood == "broken" else None
