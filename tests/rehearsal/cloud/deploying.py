"""Deploys an assembly into moto with the CDK command itself, as far as moto can make it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal.cloud.assembly import Assembly
from tests.rehearsal.cloud.filtering import Filtered, reduced
from tests.rehearsal.cloud.lacks import Lacks
from tests.rehearsal.cloud.moto import OURS, Moto
from tests.rehearsal.cloud.resolve import REF, Values
from tests.rehearsal.host.runtime import ROOT
from tests.rehearsal.host.spec import ACCOUNT, REGION

CDK = ROOT / "cdk" / "node_modules" / ".bin" / "cdk"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Deployed:
    """What is in moto now, by the template's own names."""

    assembly: Assembly
    values: Values
    dropped: Mapping[str, Mapping[str, str]]
    """For every stack the logical ids that were left out, with their types."""


def deploy(assembly: Assembly, lacks: Lacks, values: Values, moto: Moto, folder: Path) -> Deployed:
    """Deploy all stacks; `values` knows what stands in for what is left out, and all else afterwards."""
    values.stacks = assembly.stacks
    shutil.copytree(assembly.folder, folder, symlinks=True)
    filtered = {stack.name: reduced(stack, lacks, values) for stack in assembly.stacks}
    for stack in assembly.stacks:
        (folder / stack.file).write_text(json.dumps(filtered[stack.name].template))
    _cdk(moto, folder, "bootstrap", f"aws://{ACCOUNT}/{REGION}")
    arguments = ("--all", "--method=direct", "--require-approval", "never", "--concurrency", "4")
    _cdk(moto, folder, "deploy", "--app", str(folder), *arguments)
    _learn(values, moto, filtered)
    _name_versions(assembly, values)
    return Deployed(assembly, values, {name: each.dropped for name, each in filtered.items()})


def _cdk(moto: Moto, folder: Path, *arguments: str) -> None:
    settings = {"AWS_ENDPOINT_URL": moto.address, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(folder)}
    settings |= {"CDK_DISABLE_CLI_TELEMETRY": "true", "CI": "true"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    done = subprocess.run(
        [CDK, *arguments, "--no-notices", "--no-version-reporting"],
        cwd=folder,
        env=clean | OURS | settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"cdk {arguments[0]}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def _learn(values: Values, moto: Moto, filtered: Mapping[str, Filtered]) -> None:
    client = moto.client("cloudformation")
    for stack, each in filtered.items():
        for made in client.describe_stack_resources(StackName=stack)["StackResources"]:
            logical = made["LogicalResourceId"]
            # moto does not say what it calls a version of a layer.
            values.told[(stack, logical), REF] = made.get("PhysicalResourceId") or f"{stack}/{logical}"
        outputs = client.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
        told = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        for output, place in each.outputs.items():
            values.told[(stack, place[0]), place[1]] = told[output]


def _name_versions(assembly: Assembly, values: Values) -> None:
    """moto does not say what it calls a version of a function either."""
    for stack, logical, properties in assembly.of_type("AWS::Lambda::Version"):
        name = values.of(stack, properties["FunctionName"])
        arn = name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        values.told[(stack.name, logical), REF] = f"{arn}:1"
