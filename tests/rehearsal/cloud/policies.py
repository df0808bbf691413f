"""Decides as IAM does whether a call is allowed by the policies of a caller and of what is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = str | Sequence[str]
Context = Mapping[str, Values]


class NotRehearsed(Exception):
    """A policy says something that is not known here; teach it before anything is believed."""


@dataclass(frozen=True)
class Principal:
    """Who calls: a role, with the tags of its session."""

    arn: str
    account: str = "123456789012"
    tags: Mapping[str, str] = field(default_factory=dict)
    service: str = ""


@dataclass(frozen=True)
class Call:
    """What somebody wants to do, and to what."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """All that counts for one call."""

    identity: Sequence[Mapping[str, Any]] = ()
    """Of the caller's role."""
    session: Sequence[Mapping[str, Any]] | None = None
    """Given when the role was taken: what they do not allow is not allowed."""
    resource: Mapping[str, Any] | None = None
    """Of what is called."""


def why_not(call: Call, principal: Principal, policies: Policies) -> str | None:
    """Return why `call` is refused, or None when it is allowed."""
    context = {"aws:SecureTransport": "true", **_tags(principal), **call.context}
    asked = _Asked(call, principal, context)
    everything = [*policies.identity, *(policies.session or ()), *([policies.resource] if policies.resource else [])]
    for statement in _statements(everything):
        if statement["Effect"] == "Deny" and asked.fits(statement):
            return f"denied by {statement.get('Sid') or statement}"
    by_identity = asked.is_allowed_by(_statements(policies.identity))
    if policies.session is not None:
        by_identity = by_identity and asked.is_allowed_by(_statements(policies.session))
    if by_identity and not _needs_both(call, policies):
        return None
    return asked.resource_says(policies.resource, by_identity=by_identity)


def _needs_both(call: Call, policies: Policies) -> bool:
    """A key and a role let nobody in whom their own policy does not let in, or leave to the account's policies."""
    return call.action.startswith(("kms:", "sts:AssumeRole", "sts:TagSession")) and policies.resource is not None


def _tags(principal: Principal) -> dict[str, str]:
    return {f"aws:PrincipalTag/{name}": value for name, value in principal.tags.items()} | {
        "aws:PrincipalArn": principal.arn,
        "aws:PrincipalAccount": principal.account,
    }


def _statements(policies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [statement for policy in policies for statement in _many(policy["Statement"])]


def _many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class _Asked:
    """A call with all that conditions may look at."""

    call: Call
    principal: Principal
    context: Context

    def is_allowed_by(self, statements: Sequence[Mapping[str, Any]]) -> bool:
        return any(each["Effect"] == "Allow" and self.fits(each) for each in statements)

    def resource_says(self, policy: Mapping[str, Any] | None, *, by_identity: bool) -> str | None:
        """Say whether the resource's own policy lets the caller in, by name or by leaving it to the account."""
        refusal = f"no policy allows {self.call.action} on {self.call.resource} to {self.principal.arn}"
        for statement in _statements([policy]) if policy else []:
            if statement["Effect"] == "Allow" and self.fits(statement):
                root = f"arn:aws:iam::{self.principal.account}:root"
                named = _many(statement["Principal"].get("AWS", [])) if isinstance(statement["Principal"], dict) else []
                leaves = bool(named) and set(named) <= {root, self.principal.account}
                if by_identity or not leaves:
                    return None
        return refusal

    def fits(self, statement: Mapping[str, Any]) -> bool:
        return (
            self._is_principal(statement)
            and self._is_named(statement, "Action", self.call.action, lower=True)
            and self._is_named(statement, "Resource", self.call.resource, lower=False)
            and self._meets(statement.get("Condition", {}))
        )

    def _is_principal(self, statement: Mapping[str, Any]) -> bool:
        if "NotPrincipal" in statement:
            raise NotRehearsed("NotPrincipal")
        named = statement.get("Principal", "*")
        if named == "*":
            return True
        ours = {self.principal.arn, self.principal.account, f"arn:aws:iam::{self.principal.account}:root", "*"}
        return bool(ours & set(_many(named.get("AWS", [])))) or (
            bool(self.principal.service) and self.principal.service in _many(named.get("Service", []))
        )

    def _is_named(self, statement: Mapping[str, Any], kind: str, value: str, *, lower: bool) -> bool:
        if kind not in statement and f"Not{kind}" not in statement:
            return True  # a role's trust is about itself
        said = statement.get(kind, statement.get(f"Not{kind}"))
        patterns = [each.lower() if lower else each for each in _many(said)]
        found = any(self._is_like(each, value.lower() if lower else value) for each in patterns)
        return found if kind in statement else not found

    def _is_like(self, pattern: str, value: str) -> bool:
        expression = self._expression(pattern, wild=True)
        return expression is not None and re.fullmatch(expression, value, re.DOTALL) is not None

    def _expression(self, pattern: str, *, wild: bool) -> str | None:
        """Return a regular expression; None where a variable has no value, for then nothing fits."""
        parts = re.split(r"(\$\{[^}]+\})", pattern)
        made = []
        for part in parts:
            if part.startswith("${"):
                name = part[2:-1]
                value = {"*": "*", "?": "?", "$": "$"}.get(name) or self.context.get(name)
                if not isinstance(value, str):
                    return None
                made.append(re.escape(value))
            else:
                made.append(re.escape(part).replace(r"\*", ".*").replace(r"\?", ".") if wild else re.escape(part))
        return "".join(made)

    def _meets(self, conditions: Mapping[str, Mapping[str, Values]]) -> bool:
        return all(
            self._holds(operator, key, [str(each) for each in _many(wanted)])
            for operator, keys in conditions.items()
            for key, wanted in keys.items()
        )

    def _holds(self, operator: str, key: str, wanted: list[str]) -> bool:
        quantifier, _, name = operator.rpartition(":")
        name, optional = name.removesuffix("IfExists"), name.endswith("IfExists")
        found = next((value for known, value in self.context.items() if known.lower() == key.lower()), None)
        if name == "Null":
            return (found is None) == (wanted[0].lower() == "true")
        if found is None:
            return optional or quantifier == "ForAllValues" or name.startswith(("StringNot", "ArnNot"))
        values = [str(each).lower() if name == "Bool" else str(each) for each in _many(found)]
        test = self._test(name, wanted)
        return all(map(test, values)) if quantifier == "ForAllValues" else any(map(test, values))

    def _test(self, name: str, wanted: list[str]) -> Callable[[str], bool]:
        if name in ("Bool",):
            return lambda value: value in [each.lower() for each in wanted]
        negative = "Not" in name
        kind = name.replace("Not", "")
        if kind not in ("StringEquals", "StringLike", "ArnEquals", "ArnLike", "StringEqualsIgnoreCase"):
            raise NotRehearsed(f"the condition {name}")
        wild = kind in ("StringLike", "ArnLike", "ArnEquals")
        flags = re.IGNORECASE if kind == "StringEqualsIgnoreCase" else re.DOTALL
        expressions = [made for each in wanted if (made := self._expression(each, wild=wild)) is not None]

        def tested(value: str) -> bool:
            return any(re.fullmatch(each, value, flags) for each in expressions) != negative

        return tested
