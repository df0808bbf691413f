"""A whole Kira on AWS as far as one computer can play it: made of the synthesised template and of nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from tests.local.rig import NOBODY
from tests.rehearsal.cloud.alarms import Alarms
from tests.rehearsal.cloud.assembly import Assembly, read
from tests.rehearsal.cloud.cluster import Cluster, cluster_behind
from tests.rehearsal.cloud.deploying import Deployed, deploy
from tests.rehearsal.cloud.functions import DeployedFunctions, Unlike
from tests.rehearsal.cloud.gate import Gate, gate_before
from tests.rehearsal.cloud.lacks import lacks
from tests.rehearsal.cloud.law import TemplateLaw
from tests.rehearsal.cloud.moto import Moto, moto_server
from tests.rehearsal.cloud.resolve import Values
from tests.rehearsal.cloud.sources import Source, sources_of
from tests.rehearsal.cloud.stand_ins import StandIns
from tests.rehearsal.cloud.tls import Authority
from tests.rehearsal.door.front import front_door
from tests.rehearsal.fleet import Worker
from tests.rehearsal.synth import synthesised

DATABASE = "kira"
NO_LIMITS = {"KIRA_LIMIT_API": "off", "KIRA_LIMIT_CONVERSATION": "off"}
"""For users who ask more than anybody would."""
CONTEXT = {
    "size": "dev",
    "accounts": "open",
    "hosted": "https://models.example.org/v1",
    "hosted_models": ["hosted:latest"],
    "fleet": {"models": ["test:latest"]},
}
"""The configuration that is rehearsed: the smallest, with a hosted provider and open to everybody."""


@dataclass
class Rehearsal:
    """What runs, and where."""

    moto: Moto
    cluster: Cluster
    deployed: Deployed
    law: TemplateLaw
    gate: Gate
    functions: DeployedFunctions
    folder: Path
    authority: Authority
    address: str = ""
    alarms: Alarms | None = None
    sources: list[Source] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def start_worker(self, model: str, **settings: str) -> Worker:
        """Start an instance of the fleet beside the model server at `model`."""
        place = self.folder / f"fleet-{len(self.workers)}"
        place.mkdir()
        more = {"KIRA_OLLAMA": model, **settings}
        self.workers.append(Worker(self.deployed, self.gate, place, self.authority.file, more))
        return self.workers[-1]

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Read what no user may; `?` or `%s` stands for a value."""
        with psycopg.connect(self.cluster.own(DATABASE), options="-c search_path=kira") as connection:
            return connection.execute(sql.replace("?", "%s").encode(), params).fetchall()

    def serves(self, worker: Worker) -> bool:
        """Say whether a worker has told the others that it is there."""
        return bool(self.rows("SELECT 1 FROM workers WHERE name LIKE ?", f"%:{worker.process.pid}:%"))

    def replace(self, arn: str) -> None:
        """Replace a function by what was published last; a deploy calls some at once, such as `migrate`."""
        self.functions.replace(arn)
        if arn in triggers(self.deployed):
            self.functions.at(arn).invoke(json.dumps({}).encode())

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Let a story happen; where it breaks off, say what functions and workers said."""
        try:
            asyncio.run(story)
        except BaseException:
            print(self.told())
            raise

    def told(self) -> str:
        """Return what the functions printed, and what was refused."""
        refused = "\n".join(f"{each.call.action} {each.call.resource}: {each.refusal}" for each in self.gate.refused)
        workers = "\n".join(f"--- worker\n{each.told()[-6000:]}" for each in self.workers)
        return f"{self.functions.told()}\n{workers}\n--- refused\n{refused}"


@dataclass(frozen=True)
class Fault:
    """What somebody got wrong: in the templates, or in an asset after it was unpacked."""

    in_templates: Callable[[Assembly], None] = lambda assembly: None
    in_asset: Callable[[Path], None] = lambda folder: None


@contextmanager
def with_fault(healthy: Rehearsal, fault: Fault, folder: Path) -> Iterator[Rehearsal]:
    """Run what is deployed once more, with everything read anew from templates and assets that have a fault.

    The database and the workers are those of `healthy`.
    """
    assembly = deepcopy(healthy.deployed.assembly)
    fault.in_templates(assembly)
    values = replace(healthy.deployed.values, stacks=assembly.stacks)
    deployed = replace(healthy.deployed, assembly=assembly, values=values)
    with ExitStack() as stack:
        unlike = replace(healthy.functions.unlike, in_asset=fault.in_asset)
        yield _played(stack, healthy.moto, healthy.cluster, deployed, folder, healthy.authority, unlike)


@contextmanager
def rehearsal(folder: Path, *, assembly: Assembly | None = None, hosted: str = NOBODY) -> Iterator[Rehearsal]:
    """Deploy `assembly`, or the stacks of this checkout, into `folder`, and run it until the block ends.

    `hosted` is where the provider of hosted models is played.
    """
    authority = Authority(folder / "authority")
    unlike = Unlike(authority.file, {"KIRA_HOSTED": hosted})
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            synth = pool.submit(lambda: assembly or read(synthesised(CONTEXT)))
            started = pool.submit(stack.enter_context, moto_server())
            # PostgreSQL ends with the thread that started it.
            cluster = stack.enter_context(cluster_behind(authority))
        moto = started.result()
        made = _deployed(synth.result(), moto, cluster, folder)
        found = _played(stack, moto, cluster, made, folder, authority, unlike)
        for arn in triggers(made):
            found.functions.at(arn).invoke(json.dumps({}).encode())
        yield found


def _played(
    stack: ExitStack,
    moto: Moto,
    cluster: Cluster,
    deployed: Deployed,
    folder: Path,
    authority: Authority,
    unlike: Unlike,
) -> Rehearsal:
    """Play everything that moto has no hands for."""
    law = TemplateLaw(deployed, moto)
    gate = stack.enter_context(gate_before(moto, law))
    functions = DeployedFunctions(deployed, moto, gate, folder, unlike)
    stack.callback(functions.close)
    found = Rehearsal(moto, cluster, deployed, law, gate, functions, folder, authority)
    found.address = stack.enter_context(front_door(deployed, moto, law, functions))
    _begin(found, stack)
    return found


def _deployed(assembly: Assembly, moto: Moto, cluster: Cluster, folder: Path) -> Deployed:
    values, cannot = Values(stacks=assembly.stacks), lacks()
    StandIns(moto, cluster, values).make(assembly, cannot)
    return deploy(assembly, cannot, values, moto, folder / "cdk.out")


def triggers(deployed: Deployed) -> list[str]:
    """Return the functions that a deploy calls, in the order of the stacks; it ends where one of them fails."""
    said = [deployed.values.of(stack, each) for stack, _, each in deployed.assembly.of_type("Custom::Trigger")]
    return [_unversioned(str(each["HandlerArn"])) for each in said]


def _unversioned(arn: str) -> str:
    return ":".join(arn.split(":")[:7])


def _begin(rehearsal: Rehearsal, stack: ExitStack) -> None:
    rehearsal.alarms = Alarms(rehearsal.moto, rehearsal.gate, rehearsal.law, rehearsal.functions)
    stack.callback(rehearsal.alarms.stop)
    rehearsal.sources = sources_of(rehearsal.functions)
    for source in rehearsal.sources:
        stack.callback(source.stop)
    stack.callback(_stop, rehearsal.workers)


def _stop(workers: list[Worker]) -> None:
    for each in workers:
        each.stop()
