"""The functions of the template, each unpacked from its own published asset."""

from __future__ import annotations

import io
import re
import secrets
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.gate import Gate
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.cloud.policies import Call, Policies, Principal, why_not
from tests.rehearsal.host.function import Function
from tests.rehearsal.host.layers import for_here
from tests.rehearsal.host.runtime import PYTHON, managed_runtime
from tests.rehearsal.host.spec import Spec

ADAPTER = re.compile(r"arn:aws:lambda:[^:]+:\d+:layer:LambdaAdapterLayer(Arm64|X86):\d+")


class Wrong(AssertionError):
    """The template says something that AWS would refuse."""


@dataclass(frozen=True)
class Unlike:
    """What is not as on AWS: who signed the database's certificate, and variables that name others who are played."""

    authority: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    in_asset: Callable[[Path], None] = lambda folder: None
    """Called with every asset after it was unpacked, for what a test gets wrong there."""


class DeployedFunctions:
    """All functions by their ARNs; nothing is unpacked before it is asked for."""

    def __init__(self, deployed: Deployed, moto: Moto, gate: Gate, folder: Path, unlike: Unlike) -> None:
        """`unlike` is what cannot be as on AWS."""
        self._deployed, self._moto, self._gate, self._folder = deployed, moto, gate, folder
        self.unlike = unlike
        self._said = dict(self._functions())
        self._made: dict[str, Function] = {}
        self._settings: dict[str, str] = {}
        self._known: object = None
        self._deployments = self._version = 0
        self._guard = threading.Lock()

    def at(self, arn: str) -> Function:
        """Return the function of an ARN, which may also name a version or a part of it."""
        arn = ":".join(arn.split(":")[:7])
        with self._guard:
            if arn not in self._made:
                self._made[arn] = Function(self._spec(arn), managed_runtime(), self._place())
            return self._made[arn]

    def named(self, name: str) -> Function:
        """Return the function whose name ends with `name`."""
        (arn,) = [each for each in self._said if each.rpartition(":")[2].rpartition("-")[2] == name]
        return self.at(arn)

    @property
    def arns(self) -> list[str]:
        """All of Kira's own; those that the CDK brings for itself are played by others."""
        return [arn for arn, said in self._said.items() if said["Runtime"] == f"python{PYTHON}"]

    def publish(self, in_asset: Callable[[Path], None]) -> None:
        """Publish all assets anew, changed by `in_asset`; every function stays what it is until it is replaced."""
        for arn in self.arns:
            self.at(arn)
        self._version += 1
        self.unlike = replace(self.unlike, in_asset=in_asset)

    def replace(self, arn: str) -> None:
        """Let a function be of what was published last, as a deploy does while it is called."""
        with self._guard:
            spec, place = self._spec(arn), self._place()
        self.at(arn).deploy(spec, place)

    def arn_of(self, name: str) -> str:
        """Return the ARN of a function that is named by it, or by its name."""
        (arn,) = [each for each in self._said if name in (each, each.rpartition(":")[2])]
        return arn

    def mappings(self) -> list[dict[str, Any]]:
        """Return the event source mappings of the template that are on."""
        found = self._deployed.assembly.of_type("AWS::Lambda::EventSourceMapping")
        said = [self._deployed.values.of(stack, properties) for stack, _, properties in found]
        return [each for each in said if each.get("Enabled", True)]

    def configure(self, environment: Mapping[str, str], known: object = None) -> None:
        """Give every function settings of a test on top of the template's.

        They start afresh where these are new, or where what they may have learned of the world is no longer `known`.
        """
        with self._guard:
            if (environment, known) == (self._settings, self._known):
                return
            self._settings, self._known = dict(environment), known
            gone, self._made = list(self._made.values()), {}
        for each in gone:
            each.close()

    def may_invoke(self, arn: str, service: str, source: str) -> bool:
        """Say whether the function's own policy lets in a service on behalf of `source`."""
        statements = [each for each in self._permissions() if each["Resource"] == arn]
        principal = Principal("", service=service)
        call = Call("lambda:InvokeFunction", arn, {"aws:SourceArn": source, "aws:SourceAccount": principal.account})
        return why_not(call, principal, Policies(resource={"Statement": statements})) is None

    def told(self) -> str:
        """Return what every function printed."""
        return "\n".join(f"--- {each.spec.name}\n{each.told()[-6000:]}" for each in self._made.values())

    def close(self) -> None:
        """End all environments."""
        for each in self._made.values():
            each.close()

    @property
    def _assets(self) -> Path:
        """Where the assets of the present version are unpacked."""
        return self._folder / f"assets-{self._version}"

    def _place(self) -> Path:
        """Return a folder of its own for every deployment of a function."""
        self._deployments += 1
        return self._folder / "functions" / str(self._deployments)

    def _functions(self) -> Iterator[tuple[str, dict[str, Any]]]:
        values = self._deployed.values
        for stack, logical, properties in self._deployed.assembly.of_type("AWS::Lambda::Function"):
            yield str(values.told[(stack.name, logical), "Arn"]), values.of(stack, properties)

    def _permissions(self) -> Iterator[dict[str, Any]]:
        """Yield the permissions as statements of a resource's policy."""
        values = self._deployed.values
        for stack, _, properties in self._deployed.assembly.of_type("AWS::Lambda::Permission"):
            said = values.of(stack, properties)
            conditions = {"ArnLike": {"aws:SourceArn": said["SourceArn"]}} if "SourceArn" in said else {}
            name = said["FunctionName"]
            found = [arn for arn in self._said if name in (arn, arn.rpartition(":")[2])]
            for arn in found:
                yield {
                    "Effect": "Allow",
                    "Action": said["Action"],
                    "Principal": {"Service": said["Principal"]},
                    "Resource": arn,
                    "Condition": conditions,
                }

    def _spec(self, arn: str) -> Spec:
        said = self._said[arn]
        if said["Runtime"] != f"python{PYTHON}":
            raise Wrong(f"{arn} has the runtime {said['Runtime']}, rehearsed is python{PYTHON}")
        environment = {name: str(value) for name, value in said.get("Environment", {}).get("Variables", {}).items()}
        key_id = f"AKIA{secrets.token_hex(8).upper()}"
        self._gate.admit(key_id, said["Role"])
        return Spec(
            arn.rpartition(":")[2],
            said["Handler"],
            self._unpacked(said["Code"]["S3Bucket"], said["Code"]["S3Key"]),
            tuple(self._layers(said, environment)),
            {name: self.unlike.environment.get(name, value) for name, value in environment.items()} | self._settings,
            timeout_s=float(said.get("Timeout", 3)),
            memory_mb=int(said.get("MemorySize", 128)),
            reserved=said.get("ReservedConcurrentExecutions"),
            log_format=said.get("LoggingConfig", {}).get("LogFormat", "Text"),
            key_id=key_id,
            endpoint=self._gate.address,
        )

    def _layers(self, said: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Path]:
        made = {
            str(self._deployed.values.told[(stack.name, logical), None]): self._deployed.values.of(stack, properties)
            for stack, logical, properties in self._deployed.assembly.of_type("AWS::Lambda::LayerVersion")
        }
        adapters = [each for each in said.get("Layers", []) if each not in made]
        if any(not ADAPTER.fullmatch(each) for each in adapters):
            raise Wrong(f"nobody knows the layers {adapters}")
        if ("AWS_LAMBDA_EXEC_WRAPPER" in environment) != bool(adapters):
            raise Wrong("the adapter needs its layer and AWS_LAMBDA_EXEC_WRAPPER, both")
        for each in said.get("Layers", []):
            if each in made:
                content = made[each]["Content"]
                layer = for_here(self._unpacked(content["S3Bucket"], content["S3Key"]), self._assets / "layers")
                yield layer
                yield from self._trusting(layer, environment.get("KIRA_DATABASE_CA", ""))

    def _trusting(self, layer: Path, file: str) -> Iterator[Path]:
        """Lay the file of authorities over itself, with the one that signed the database's certificate here."""
        place = Path(file.removeprefix("/opt/"))
        if file.startswith("/opt/") and (layer / place).exists():
            over = self._folder / "authorities" / place
            over.parent.mkdir(parents=True, exist_ok=True)
            over.write_text((layer / place).read_text() + self.unlike.authority.read_text())
            yield self._folder / "authorities"

    def _unpacked(self, bucket: str, key: str) -> Path:
        """Return the folder of a published asset, with the modes that its files have in the archive."""
        folder = self._assets / key.partition(".")[0]
        if not folder.exists():
            body = self._moto.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            archive = zipfile.ZipFile(io.BytesIO(body))
            archive.extractall(folder)
            for each in archive.infolist():
                if mode := each.external_attr >> 16:
                    (folder / each.filename).chmod(mode & 0o777 | 0o600)
            self.unlike.in_asset(folder)
        return folder
