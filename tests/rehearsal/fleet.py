"""An instance of the fleet: the ordinary worker, with the parameters that the template's user data writes down."""

from __future__ import annotations

import io
import json
import re
import secrets
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3  # type: ignore[import-untyped]
from tests.hosts import files
from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.gate import Gate
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.host.environment import SECRET
from tests.rehearsal.host.spec import REGION
from tests.rehearsal.instance import Instance

PARAMETERS = re.compile(r"cat > /etc/kira/fleet\.env <<'END'\n(.*?)\nEND\n", re.DOTALL)
UNIT = "fleet/kira-worker.service"
ENDS_SECONDS = int(files.unit(UNIT)["TimeoutStopSec"])
"""How long systemd waits for a worker that it stops."""
NO_TIME = 10
"""How long a test that is over waits."""


class Worker:
    """A worker that runs until it is stopped; it calls AWS with the role of its instance."""

    def __init__(self, deployed: Deployed, gate: Gate, folder: Path, authority: Path, more: Mapping[str, str]) -> None:
        """Start it; `more` says where the models are, and what a test wants otherwise."""
        self.log = folder / "worker.log"
        settings = settings_of(deployed, gate, authority)
        self.instance = Instance(f"i-{secrets.token_hex(8)}")
        """EC2, as this one asks it about itself."""
        own = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "KIRA_DATA": str(folder / "worker"),
            "OLLAMA_NUM_PARALLEL": "4",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.instance.address,
            **more,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(files.command_of(UNIT), env=settings | own, stdout=log, stderr=log)

    def told(self) -> str:
        """Return what it printed."""
        return self.log.read_text(errors="replace")

    def ended(self, seconds: float = ENDS_SECONDS) -> int:
        """Return what it ended with, once it has."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """Stop it as systemd does, only with less patience; one that does not end is killed."""
        self.process.terminate()
        try:
            self.ended(NO_TIME)
        except subprocess.TimeoutExpired:
            self.kill()
        self.instance.close()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


def unpacked(deployed: Deployed, moto: Moto, folder: Path) -> Path:
    """Unpack the Kira that the fleet installs, from where its user data takes it, into `folder`."""
    bucket, _, key = _parameters(deployed)["KIRA_WHEEL"].removeprefix("s3://").partition("/")
    body = moto.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as bundle:
        (wheel,) = [name for name in bundle.namelist() if re.fullmatch(r"[^/]+\.whl", name)]
        zipfile.ZipFile(io.BytesIO(bundle.read(wheel))).extractall(folder)
    return folder


def settings_of(deployed: Deployed, gate: Gate, authority: Path) -> dict[str, str]:
    """Return what a worker of the fleet finds in its environment, with a key of its instance's role."""
    key_id = f"AKIA{secrets.token_hex(8).upper()}"
    gate.admit(key_id, _role(deployed))
    return _settings(_parameters(deployed), gate, key_id, authority)


def _parameters(deployed: Deployed) -> dict[str, str]:
    """Return what the instance reads in /etc/kira/fleet.env."""
    ((stack, _, properties),) = deployed.assembly.of_type("AWS::EC2::LaunchTemplate")
    user_data = deployed.values.of(stack, properties)["LaunchTemplateData"]["UserData"]
    found = PARAMETERS.search(user_data)
    assert found is not None, user_data
    return dict(line.split("=", 1) for line in found[1].splitlines())


def _role(deployed: Deployed) -> str:
    """Return the role of the instance, by its profile."""
    ((stack, _, properties),) = deployed.assembly.of_type("AWS::IAM::InstanceProfile")
    (name,) = deployed.values.of(stack, properties)["Roles"]
    return f"arn:aws:iam::123456789012:role/{name}"


def _settings(told: dict[str, str], gate: Gate, key_id: str, authority: Path) -> dict[str, str]:
    aws = {
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": gate.address,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    client = boto3.client(
        "secretsmanager",
        endpoint_url=gate.address,
        region_name=REGION,
        aws_access_key_id=key_id,
        aws_secret_access_key=SECRET,
    )
    user: dict[str, Any] = json.loads(client.get_secret_value(SecretId=told["KIRA_DATABASE_SECRET"])["SecretString"])
    host, name = told["KIRA_DATABASE_HOST"], told["KIRA_DATABASE_NAME"]
    who = f"{quote(user['username'])}:{quote(user['password'], safe='')}"
    return aws | {
        "KIRA_DATABASE": f"postgresql://{who}@{host}/{name}?sslmode=verify-full&sslrootcert={authority}",
        "KIRA_MASTER_KEY": client.get_secret_value(SecretId=told["KIRA_MASTER_KEY_SECRET"])["SecretString"],
        "KIRA_QUEUE": told["KIRA_QUEUE"],
        "KIRA_STREAM": told["KIRA_STREAM"],
        "KIRA_FLEET": told["KIRA_FLEET"],
        "KIRA_LIFECYCLE_HOOK": told["KIRA_LIFECYCLE_HOOK"],
    }
