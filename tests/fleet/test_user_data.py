"""User data, run for real: it ends with a worker that takes a run and answers, or with an instance that is replaced."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from tests.fleet.cloud import GROUP, HOOK
from tests.fleet.conftest import Place
from tests.fleet.instance import MODEL, PLACE
from tests.hosts.users import visitor

from kira.cloud.fleet.parameters import read_environment

AWS = f"""#!{sys.executable}
import sys, boto3
name = dict(zip(sys.argv[1::1], sys.argv[2::1]))
if sys.argv[1:3] == ["s3", "cp"]:
    sys.exit("fatal error: An error occurred (404) when calling the HeadObject operation: Key does not exist")
assert sys.argv[1:3] == ["autoscaling", "set-instance-health"], sys.argv
assert "--no-should-respect-grace-period" in sys.argv
group = boto3.client("autoscaling", region_name=name["--region"])
group.set_instance_health(InstanceId=name["--instance-id"], HealthStatus=name["--health-status"])
"""


def prepare(place: Place, *, share: float = 1.0) -> None:
    """Do what the stack does before an instance starts."""
    place.instance.furnish(place.database, place.hosts.shared["KIRA_MASTER_KEY"], share=share)
    place.instance.put_bundle(place.folder / "bundle", place.front.authorities)


async def test_an_empty_instance_becomes_a_worker_that_answers_and_may_be_prepared_again(place: Place) -> None:
    instance, hosts = place.instance, place.hosts
    prepare(place)
    done = instance.run()
    assert done.returncode == 0, done.stdout
    settings = instance.root / "etc/kira/worker.env"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    said = read_environment(settings)
    # The model server's model on an L4 with 8,192 tokens in q8_0 has room for more than is useful.
    assert (said["OLLAMA_NUM_PARALLEL"], said["KIRA_MODELS"]) == ("16", MODEL)
    assert (said["KIRA_FLEET"], said["KIRA_LIFECYCLE_HOOK"]) == (GROUP, HOOK)
    assert "verify-full" in said["KIRA_DATABASE"]
    assert place.database["password"] not in done.stdout
    assert said["KIRA_MASTER_KEY"] not in done.stdout
    front = hosts.instance(KIRA_QUEUE=said["KIRA_QUEUE"], **instance.cloud.environment)
    hosts.start(front)
    async with visitor(front.address) as user:
        run = (await user.ask(front.address, "say:from the fleet"))["run"]["id"]
        assert (await user.read(front.address, run)).text == "from the fleet"
    assert "on the card" in instance.log("kira-worker")
    before = instance.pid("ollama"), instance.pid("kira-worker")
    again = instance.run()
    assert again.returncode == 0, again.stdout
    assert (instance.pid("ollama"), instance.pid("kira-worker")) == before, "what works is not disturbed"
    assert "0 of 0 MiB" in again.stdout
    assert instance.cloud.instance["HealthStatus"].upper() == "HEALTHY"


def test_what_fails_in_the_script_has_the_instance_replaced(place: Place) -> None:
    prepare(place)
    place.instance.cloud.client("s3").delete_object(Bucket=place.instance.bucket, Key="bundle.zip")
    done = place.instance.run()
    assert done.returncode == 1
    assert "kira: failed at: install Kira from s3://kira-weights/bundle.zip" in done.stdout
    assert place.instance.cloud.instance["HealthStatus"] == "Unhealthy"


def test_where_there_is_the_command_of_aws_it_is_used(place: Place) -> None:
    prepare(place)
    program = Path(place.instance.path[0]) / "aws"
    program.write_text(AWS)
    program.chmod(0o755)
    done = place.instance.run()
    assert done.returncode == 1
    assert "Key does not exist" in done.stdout
    assert "kira: failed at: install Kira" in done.stdout
    assert place.instance.cloud.instance["HealthStatus"] == "Unhealthy"


def test_weights_that_are_missing_are_named_and_nothing_is_started(place: Place) -> None:
    prepare(place)
    place.instance.cloud.client("s3").delete_object(Bucket=place.instance.bucket, Key=f"fleet/models/{PLACE}")
    done = place.instance.run()
    assert done.returncode == 1
    assert f"The bucket of weights has no models/{PLACE}." in done.stdout
    assert not (place.instance.root / "run/systemctl").exists()
    assert place.instance.cloud.instance["HealthStatus"] == "Unhealthy"


def test_parameters_that_are_missing_are_named(place: Place) -> None:
    prepare(place)
    del place.instance.parameters["KIRA_MODELS"]
    place.instance.write_parameters()
    done = place.instance.run()
    assert done.returncode == 1
    assert "has no KIRA_MODELS" in done.stdout
