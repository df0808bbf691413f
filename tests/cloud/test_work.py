"""Runs of hosted models in a function that SQS starts, and the function that the alarm wakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.aws import Aws
from tests.cloud.calling import Function, event, function
from tests.local.rig import model_server

MODEL = "test:latest"
KEY = "sk-of-the-provider"
FORM = {"email": "alice@example.org", "password": "correct horse battery"}
GROUP = "kira-alarms"


@dataclass
class Home:
    """Functions around one database, a provider, and queues."""

    aws: Aws
    environment: dict[str, str]
    folder: Path
    auth: Function
    chat: Function

    def ask(self, text: str, model: str = MODEL) -> tuple[str, str]:
        """Ask as the user; return the conversation and the run."""
        conversation = self.chat.call("POST", "/api/conversations", {}).json["id"]
        asked = self.chat.call("POST", f"/api/conversations/{conversation}/messages", {"content": text, "model": model})
        assert asked.status == 202, asked.body
        return conversation, asked.json["run"]["id"]

    def hints(self, name: str) -> list[dict[str, Any]]:
        """Take all messages out of a queue."""
        url, client, found = self.environment[name], self.aws.client("sqs"), []
        names = ["MessageGroupId"]
        while messages := client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=names
        ).get("Messages"):
            found += messages
            for message in messages:
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def batch(self, bodies: list[str]) -> dict[str, Any]:
        """Return the event of a batch with these bodies."""
        made = event("sqs")
        (record,) = made["Records"]
        made["Records"] = [record | {"messageId": f"m{at}", "body": body} for at, body in enumerate(bodies)]
        return made


@pytest.fixture
def home(aws: Aws, environment: dict[str, str], tmp_path: Path) -> Iterator[Home]:
    with model_server(tokens=12) as address:
        given = environment | {
            "KIRA_QUEUE": aws.queue(),
            "KIRA_QUEUE_HOSTED": aws.queue(),
            "KIRA_HOSTED": f"{address}/v1",
            "KIRA_HOSTED_SECRET": aws.secret(KEY),
            "KIRA_HOSTED_MODELS": f"{MODEL},other",
            "KIRA_MODEL": "gpu:7b",
            "KIRA_ALARM_GROUP": GROUP,
            "KIRA_ALARM_TARGET": "arn:aws:lambda:us-east-1:123456789012:function:clock",
            "KIRA_ALARM_ROLE": "arn:aws:iam::123456789012:role/alarm",
        }
        scheduler = aws.client("scheduler")
        if GROUP not in {each["Name"] for each in scheduler.list_schedule_groups()["ScheduleGroups"]}:
            scheduler.create_schedule_group(Name=GROUP)
        with function("auth", tmp_path, given) as auth, function("chat", tmp_path, given) as chat:
            chat.token = auth.call("POST", "/api/auth/sign-up", FORM).json["access_token"]
            yield Home(aws, given, tmp_path, auth, chat)


def test_a_question_becomes_an_answer(home: Home) -> None:
    conversation, run = home.ask("one two three")
    (hint,) = home.hints("KIRA_QUEUE_HOSTED")
    assert hint["Body"] == run
    assert hint["Attributes"]["MessageGroupId"], "the queue is fair between users"
    assert home.hints("KIRA_QUEUE") == []
    with function("agent", home.folder, home.environment) as agent:
        answer = agent.invoke(home.batch([run]), 600)
        assert answer == {"batchItemFailures": []}
        assert home.chat.call("GET", f"/api/runs/{run}").json["state"] == "done"
        items = home.chat.call("GET", f"/api/conversations/{conversation}/messages").json["items"]
        assert items[-1]["content"].startswith("one two three one")
        # What comes late, doubled or for nothing does no harm, and does not come again.
        assert agent.invoke(home.batch([run, run, "nonsense"]), 600) == {"batchItemFailures": []}
        titles = home.hints("KIRA_QUEUE_HOSTED")
        assert agent.invoke(home.batch([each["Body"] for each in titles]), 600) == {"batchItemFailures": []}
        title = home.chat.call("GET", f"/api/conversations/{conversation}").json["title"]
        assert title.startswith("Write a title"), "this model says what it is asked"
        for told in (KEY, "one two three", FORM["email"]):
            assert told not in agent.log.read_text()


def test_a_batch_is_worked_on_together_and_a_cancelled_run_is_left_out(home: Home) -> None:
    runs = [home.ask(f"question {number}")[1] for number in range(6)]
    assert home.chat.call("POST", f"/api/runs/{runs[0]}/cancel").status == 202
    with function("agent", home.folder, home.environment) as agent:
        assert agent.invoke(home.batch(runs), 600) == {"batchItemFailures": []}
    states = [home.chat.call("GET", f"/api/runs/{run}").json["state"] for run in runs]
    assert states == ["cancelled"] + ["done"] * 5


def test_without_time_nothing_is_begun_and_the_hints_come_again(home: Home) -> None:
    _, run = home.ask("one two three")
    with function("agent", home.folder, home.environment) as agent:
        failures = agent.invoke(home.batch([run]), 30)["batchItemFailures"]
    assert failures == [{"itemIdentifier": "m0"}]
    assert home.chat.call("GET", f"/api/runs/{run}").json["state"] == "queued"


def test_what_a_function_offers_is_what_can_be_asked(home: Home) -> None:
    told = home.chat.call("GET", "/api/models").json
    assert {each["name"] for each in told["items"]} == {"gpu:7b", MODEL, "other"}
    assert told["default"] == "gpu:7b", "what chose none goes to the fleet"
    assert any("sleep" in each["message"] for each in told["servers"])
    _, run = home.ask("wake up", "gpu:7b")
    (hint,) = home.hints("KIRA_QUEUE")
    assert hint["Body"] == run


def test_the_clock_makes_its_round_and_sets_the_next_one(home: Home) -> None:
    home.ask("one two three")
    scheduler = home.aws.client("scheduler")
    before = {each["Name"] for each in scheduler.list_schedules(GroupName=GROUP)["Schedules"]}
    assert before, "who asks sets the alarm, in case the hint is lost"
    with function("clock", home.folder, home.environment) as clock:
        for _ in range(2):
            assert clock.invoke(event("scheduler"), 60) == {"open": 1}
        names = {each["Name"] for each in scheduler.list_schedules(GroupName=GROUP)["Schedules"]}
        assert len(names) >= 1
        metrics = [line for line in clock.lines() if "RunsOpen" in line]
        assert [line["RunsOpen"] for line in metrics] == [[1.0], [1.0]]
