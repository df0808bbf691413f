"""Templates for tests: each size is synthesised once in a session, into build/, however many processes ask."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from cdk_nag import AwsSolutionsChecks

from kira_cdk import assembly, layers, synthesis
from kira_cdk.config import SIZES, Fleet

Template = dict[str, Any]
FLAG = "synthesised"
# Whatever the three sizes leave off, in another region and under another name.
OTHER = replace(
    SIZES["small"],
    name="other",
    region="eu-central-1",
    domain="kira.example.org",
    certificate="arn:aws:acm:us-east-1:123456789012:certificate/abc",
    mail_from="kira@example.org",
    database_sign_in="iam",
    hosted="https://api.example.org/v1",
    hosted_models=("large",),
    nat=True,
    stream="rediss://cache.example.org:6379",
    alarms_to="ops@example.org",
    fleet=Fleet(image="ami-0123456789abcdef0"),
)
CONFIGS = {**SIZES, "other": OTHER}


@cache
def folder(size: str = "dev") -> Path:
    """Return the folder that `cdk synth` would fill for a size; it is made again only when something changed."""
    target = layers.BUILD / f"cdk.{size}"
    layers.BUILD.mkdir(exist_ok=True)
    with (layers.BUILD / "cdk.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        flag, now = target / FLAG, _digest()
        if not flag.is_file() or flag.read_text() != now:
            shutil.rmtree(target, ignore_errors=True)
            synthesis.templates(CONFIGS[size], target, AwsSolutionsChecks)
            flag.write_text(now)
    return target


@cache
def templates(size: str = "dev") -> dict[str, Template]:
    """Return the template of every stack, by the stack's name."""
    return assembly.read(folder(size))


def resources(kind: str, size: str = "dev") -> dict[str, Template]:
    """Return every resource of a type, by stack and logical id."""
    return {
        f"{stack}/{name}": resource
        for stack, template in templates(size).items()
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def asset(size: str, hash_: str) -> Path:
    """Return the folder or file of an asset."""
    return next(path for path in folder(size).glob(f"asset.{hash_}*"))


def function(name: str, size: str = "dev") -> Template:
    """Return the properties of one function."""
    found = [each["Properties"] for each in resources("AWS::Lambda::Function", size).values()]
    return next(each for each in found if each.get("FunctionName") == f"kira-{name}")


def _digest() -> str:
    """Return what the templates are made from: sources, settings and what was built."""
    total = hashlib.sha256()
    for place in ("cdk/kira_cdk", "functions", "deploy/fleet", "layers/kira/python/kira"):
        for path in sorted((layers.ROOT / place).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path}\0".encode() + path.read_bytes())
    for name in ("cdk.json", "locks/layer.txt", "pyproject.toml"):
        total.update((layers.ROOT / name).read_bytes())
    return total.hexdigest() + json.dumps(sorted(SIZES))
