"""A gate before moto: it knows the caller by the access key, decides by the template's policies, and remembers."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from xml.sax.saxutils import escape

from tests.rehearsal.cloud.calls import Asked, Keys, calls_of, session_tags
from tests.rehearsal.cloud.hooks import hooked
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.cloud.policies import Call, Policies, Principal, why_not
from tests.rehearsal.serving import OF_ONE_STRETCH, Reply, Request, Server


class Law(Keys, Protocol):
    """What the template allows."""

    def identity(self, role: str) -> Sequence[dict[str, Any]]:
        """Return the policies of a role."""

    def resource(self, arn: str) -> dict[str, Any] | None:
        """Return the policy of a bucket, queue, key, secret or role."""


@dataclass(frozen=True)
class Caller:
    """Who has an access key."""

    principal: Principal
    session: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Record:
    """One thing that somebody wanted to do; `refusal` says why not."""

    caller: str
    call: Call
    refusal: str | None


@dataclass
class Gate:
    """Where functions and workers find AWS."""

    moto: Moto
    law: Law
    callers: dict[str, Caller] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    address: str = ""
    hides_s: int | None = None
    """How long SQS keeps from others at most what it gave to one, where a test does not wait for the minute asked."""

    def admit(self, key_id: str, role: str) -> None:
        """Let the key be known as that of `role`."""
        self.callers[key_id] = Caller(Principal(role))

    @property
    def refused(self) -> list[Record]:
        """What was refused so far."""
        return [each for each in self.records if each.refusal]

    def answer(self, request: Request) -> Reply:
        """Answer a request: by moto, or with a refusal in the words of the service."""
        asked = Asked(request.method, request.target, request.by_name, request.body)
        key_id, _ = asked.scope
        if (caller := self.callers.get(key_id)) is None:
            self.records.append(Record(key_id, Call("sts:GetCallerIdentity", "*"), "the access key is not known"))
            return _refusal(asked, "InvalidClientTokenId", "The security token included in the request is invalid.")
        for call in calls_of(asked, self.law):
            why = self.decide(caller, call)
            self.records.append(Record(caller.principal.arn, call, why))
            if why is not None:
                return _refusal(asked, "AccessDenied", why)
        reply = hooked(asked) or self._ask(self._hastened(asked))
        if (body := reply.whole) and b"<AssumeRoleResult>" in body:
            self._remember(asked, body)
        return reply

    def decide(self, caller: Caller, call: Call) -> str | None:
        """Return why the caller may not, or None."""
        role = caller.principal.arn
        arn = call.resource.partition("/")[0] if call.action.startswith("s3:") else call.resource
        policies = Policies(self.law.identity(role), caller.session, self.law.resource(arn))
        return why_not(call, caller.principal, policies)

    def _hastened(self, asked: Asked) -> Asked:
        most, told = self.hides_s, b'"VisibilityTimeout": '
        if most is None or told not in asked.body:
            return asked
        body = re.sub(told + rb"(\d+)", lambda found: told + b"%d" % min(most, int(found[1])), asked.body)
        return replace(asked, body=body)

    def _ask(self, asked: Asked) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.moto.port, timeout=60)
        try:
            headers = {name: value for name, value in asked.headers.items() if name not in OF_ONE_STRETCH}
            headers |= {"host": f"localhost:{self.moto.port}", "content-length": str(len(asked.body))}
            connection.request(asked.method, asked.target, asked.body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), (response.read(),))
        finally:
            connection.close()

    def _remember(self, asked: Asked, body: bytes) -> None:
        found = re.search(rb"<AccessKeyId>(.+?)</AccessKeyId>", body)
        assert found is not None
        tags = session_tags(asked)
        session = [json.loads(asked.form["Policy"])] if "Policy" in asked.form else None
        principal = replace(Principal(asked.form["RoleArn"]), tags=tags)
        self.callers[found[1].decode()] = Caller(principal, session)


def _refusal(asked: Asked, code: str, why: str) -> Reply:
    service = asked.scope[1]
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{escape(why)}</Message></Error>"
    elif "x-amz-target" in asked.headers or service in ("lambda", "scheduler", "ses"):
        kind = f"{code}Exception" if code == "AccessDenied" else code
        headers = [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-ErrorType", kind)]
        return Reply(403, headers, (json.dumps({"__type": kind, "message": why, "Message": why}).encode(),))
    else:
        text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{escape(why)}</Message></Error></ErrorResponse>"
    return Reply(403, [("Content-Type", "text/xml")], (text.encode(),))


@contextmanager
def gate_before(moto: Moto, law: Law) -> Iterator[Gate]:
    """Open a gate on a free port until the block ends."""
    gate = Gate(moto, law)
    server = Server(gate.answer)
    # As a number, so that clients of S3 name buckets in the path.
    gate.address = server.address
    try:
        yield gate
    finally:
        server.close()
