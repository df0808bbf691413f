"""EventBridge Scheduler's own hand: moto keeps schedules and never fires them."""

from __future__ import annotations

import contextlib
import re
import threading
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from tests.rehearsal.cloud.functions import DeployedFunctions
from tests.rehearsal.cloud.gate import Caller, Gate, Record
from tests.rehearsal.cloud.law import TemplateLaw
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.cloud.policies import Call, NotRehearsed, Policies, Principal, why_not
from tests.rehearsal.host.invocation import Failed

LOOK_SECONDS = 0.2
SERVICE = "scheduler.amazonaws.com"


class Alarms:
    """Fires what is due, with the schedule's own role, target and input."""

    def __init__(self, moto: Moto, gate: Gate, law: TemplateLaw, functions: DeployedFunctions) -> None:
        """Begin to look."""
        self._client, self._gate, self._law, self._functions = moto.client("scheduler"), gate, law, functions
        self._stopped = threading.Event()
        self._done: set[tuple[str, str]] = set()
        self.fired: list[str] = []
        """The functions that were called, in order."""
        threading.Thread(target=self._go, daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _go(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            with contextlib.suppress(ClientError, BotoCoreError):
                for each in self._client.list_schedules()["Schedules"]:
                    self._look(each["GroupName"], each["Name"])

    def _look(self, group: str, name: str) -> None:
        schedule = self._client.get_schedule(GroupName=group, Name=name)
        expression = schedule["ScheduleExpression"]
        key = (f"{group}/{name}", f"{expression} {schedule.get('LastModificationDate')}")
        if schedule.get("State", "ENABLED") == "ENABLED" and key not in self._done and _is_due(schedule):
            self._done.add(key)
            if schedule.get("ActionAfterCompletion") == "DELETE":
                self._client.delete_schedule(GroupName=group, Name=name)
            threading.Thread(target=self._fire, args=(schedule,), daemon=True).start()

    def _fire(self, schedule: dict[str, Any]) -> None:
        target = schedule["Target"]
        refusal = self._refusal(target["RoleArn"], target["Arn"])
        self._gate.records.append(Record(target["RoleArn"], Call("lambda:InvokeFunction", target["Arn"]), refusal))
        if refusal is None:
            self.fired.append(target["Arn"].rpartition(":")[2])
            with contextlib.suppress(Failed):
                self._functions.at(target["Arn"]).invoke(target.get("Input", "{}").encode())

    def _refusal(self, role: str, arn: str) -> str | None:
        """Say why the schedule may not: its role must trust the Scheduler, and be allowed to call the function."""
        scheduler = Principal("", service=SERVICE)
        taking = Call("sts:AssumeRole", role, {"aws:SourceAccount": scheduler.account})
        return why_not(taking, scheduler, Policies(resource=self._law.resource(role))) or self._gate.decide(
            Caller(Principal(role)), Call("lambda:InvokeFunction", arn)
        )


def _is_due(schedule: dict[str, Any]) -> bool:
    found = re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", schedule["ScheduleExpression"])
    if found is None or schedule.get("ScheduleExpressionTimezone", "UTC") != "UTC":
        raise NotRehearsed(f"the schedule {schedule['ScheduleExpression']}")
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) <= datetime.now(UTC)
