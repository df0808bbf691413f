"""Makes what moto's CloudFormation cannot: through the services' own APIs, or as a value that names nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.rehearsal.cloud.assembly import Assembly, Stack
from tests.rehearsal.cloud.cluster import PORT, Cluster
from tests.rehearsal.cloud.filtering import attributes
from tests.rehearsal.cloud.lacks import Lacks
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.cloud.resolve import REF, Values
from tests.rehearsal.host.spec import ACCOUNT, REGION

Attributes = dict[str | None, str]
Maker = Callable[[Stack, str, dict[str, Any]], Attributes]


@dataclass(frozen=True)
class StandIns:
    """Makes every resource that `lacks` names, and tells `values` of it."""

    moto: Moto
    cluster: Cluster
    values: Values

    def make(self, assembly: Assembly, lacks: Lacks) -> None:
        """Make all; what needs another comes after it."""
        self.values.secret = self._read
        makers: dict[str, Maker] = {
            "AWS::SecretsManager::Secret": self._secret,
            "AWS::SecretsManager::SecretTargetAttachment": self._attachment,
            "AWS::RDS::DBCluster": self._cluster,
            "AWS::Scheduler::ScheduleGroup": self._group,
        }
        for name in sorted(lacks.types, key=lambda each: (*makers, each).index(each)):
            for stack, logical, properties in assembly.of_type(name):
                made = makers.get(name, _named)(stack, logical, properties)
                self._tell(stack, logical, made)
        for stack in assembly.stacks:
            _tell_lacking(stack, lacks, self._tell)

    def _tell(self, stack: Stack, logical: str, made: Attributes) -> None:
        for attribute, value in {**_others(stack, logical), **made}.items():
            self.values.told[(stack.name, logical), attribute] = value

    def _secret(self, stack: Stack, logical: str, properties: dict[str, Any]) -> Attributes:
        client = self.moto.client("secretsmanager")
        name = self.values.of(stack, properties.get("Name")) or f"{logical}-{stack.name}"
        text = self.values.of(stack, properties.get("SecretString")) or _generated(
            client, properties.get("GenerateSecretString", {})
        )
        arn = client.create_secret(Name=name, SecretString=text)["ARN"]
        return {REF: arn, "Id": arn}

    def _attachment(self, stack: Stack, logical: str, properties: dict[str, Any]) -> Attributes:
        """Put into a secret where its database is, as AWS does."""
        client = self.moto.client("secretsmanager")
        arn = self.values.of(stack, properties["SecretId"])
        told = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        told |= {"engine": "postgres", "host": self.cluster.address, "port": PORT}
        client.put_secret_value(SecretId=arn, SecretString=json.dumps(told))
        return {REF: arn, "Id": arn}

    def _cluster(self, stack: Stack, logical: str, properties: dict[str, Any]) -> Attributes:
        known = {name: properties[name] for name in ("MasterUsername", "MasterUserPassword", "DatabaseName")}
        user, password, database = self.values.of(stack, known).values()
        self.cluster.make_master(user, password, database)
        name = logical.lower()
        return {
            REF: name,
            "DBClusterArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:{name}",
            "DBClusterResourceId": "cluster-REHEARSAL",
            "Endpoint.Address": self.cluster.address,
            "Endpoint.Port": str(PORT),
            "ReadEndpoint.Address": self.cluster.address,
        }

    def _group(self, stack: Stack, logical: str, properties: dict[str, Any]) -> Attributes:
        name = self.values.of(stack, properties.get("Name")) or logical
        return {REF: name, "Arn": self.moto.client("scheduler").create_schedule_group(Name=name)["ScheduleGroupArn"]}

    def _read(self, arn: str, key: str) -> str:
        text = str(self.moto.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
        return str(json.loads(text)[key]) if key else text


def _generated(client: Any, said: dict[str, Any]) -> str:
    ours = ("SecretStringTemplate", "GenerateStringKey")
    wanted = {name: value for name, value in said.items() if name not in ours}
    password = client.get_random_password(**wanted)["RandomPassword"]
    if "GenerateStringKey" not in said:
        return str(password)
    return json.dumps({**json.loads(said["SecretStringTemplate"]), said["GenerateStringKey"]: password})


def _named(stack: Stack, logical: str, properties: dict[str, Any]) -> Attributes:
    """Return a name: nobody asks moto for it."""
    names = [properties[each] for each in ("Name", "StageName") if isinstance(properties.get(each), str)]
    return {REF: (names or [logical.lower()])[0]}


def _others(stack: Stack, logical: str) -> Attributes:
    """Return a value for every attribute of a resource that the stack asks for."""
    name = stack.resources[logical]["Type"].replace("::", "-").lower()
    asked = {attribute for asked_of, attribute in _asked(stack) if asked_of == logical}
    return {
        each: _arn(name, logical) if each.lower().endswith("arn") else f"{logical}-{each}".lower() for each in asked
    }


def _arn(name: str, logical: str) -> str:
    return f"arn:aws:{name}:{REGION}:{ACCOUNT}:{logical}"


def _tell_lacking(stack: Stack, lacks: Lacks, tell: Callable[[Stack, str, Attributes], None]) -> None:
    for logical, attribute in set(_asked(stack)):
        if lacks.has_attribute(stack.resources[logical]["Type"], attribute):
            tell(stack, logical, {})


def _asked(stack: Stack) -> list[tuple[str, str]]:
    return list(attributes(stack.template))
