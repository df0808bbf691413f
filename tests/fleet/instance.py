"""An empty instance of the fleet in a folder: its bucket, its secrets, its parameters, and its user data."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.rig import free_port
from tests.fleet.cloud import GROUP, HOOK, Cloud

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "fleet"
VERSION = "0.33.1"
MODEL = "test:latest"
PLACE = "manifests/registry.ollama.ai/library/test/latest"
ARCHIVE = f"ollama/{VERSION}/ollama-linux-amd64.tgz"
VRAM_MIB = 22_888  # an L4
PATIENCE_SECONDS = 240
PROGRAM = f"""#!{sys.executable}
import os, sys
from pathlib import Path
from kira.testing.model_server.__main__ import main
models = Path(os.environ["OLLAMA_MODELS"]) / "manifests/registry.ollama.ai/library"
names = [f"{{each.parent.name}}:{{each.name}}" for each in sorted(models.glob("*/*"))]
given = {{"port": os.environ["OLLAMA_HOST"].rpartition(":")[2], "slots": os.environ["OLLAMA_NUM_PARALLEL"],
    "context": os.environ["OLLAMA_CONTEXT_LENGTH"], "gpu-share": SHARE, "models": ",".join(names)}}
assert sys.argv[1:] == ["serve"], sys.argv
sys.argv[1:] = ["--rate", "200", *(each for name, value in given.items() for each in ("--" + name, str(value)))]
main()
"""


@dataclass
class Instance:
    """One instance below `root`; what the stack would have put into the account is put there by `furnish`."""

    root: Path
    cloud: Cloud
    bucket: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)

    @property
    def ollama(self) -> str:
        """Where its Ollama answers."""
        return self.parameters["KIRA_OLLAMA"]

    @property
    def environment(self) -> dict[str, str]:
        """In which its user data runs; no program of this machine's user is there."""
        path = ":".join([*self.path, str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        clean = {name: os.environ[name] for name in ("TMPDIR", "LANG") if name in os.environ}
        return clean | self.cloud.environment | {"PATH": path, "KIRA_ROOT": str(self.root), "HOME": str(self.root)}

    def furnish(self, database: dict[str, str], master_key: str, *, share: float = 1.0) -> None:
        """Fill the bucket and the secrets, and write the parameters."""
        s3, secrets = self.cloud.client("s3"), self.cloud.client("secretsmanager")
        self.bucket = "kira-weights"
        s3.create_bucket(Bucket=self.bucket)
        self.put_program(PROGRAM.replace("SHARE", str(share)))
        self.put_model()
        login = {name: database[name] for name in ("username", "password")}
        login_arn = secrets.create_secret(Name="login", SecretString=json.dumps(login))["ARN"]
        key_arn = secrets.create_secret(Name="key", SecretString=master_key)["ARN"]
        queue = self.cloud.client("sqs").create_queue(QueueName="runs")["QueueUrl"]
        self.parameters = {
            "KIRA_REGION": "us-east-1",
            "KIRA_DATABASE_HOST": database["host"],
            "KIRA_DATABASE_PORT": database["port"],
            "KIRA_DATABASE_NAME": database["name"],
            "KIRA_DATABASE_SECRET": login_arn,
            "KIRA_MASTER_KEY_SECRET": key_arn,
            "KIRA_QUEUE": queue,
            "KIRA_STREAM": "table",
            "KIRA_FLEET": GROUP,
            "KIRA_LIFECYCLE_HOOK": HOOK,
            "KIRA_MODELS": MODEL,
            "KIRA_WEIGHTS": f"s3://{self.bucket}/fleet",
            "KIRA_OLLAMA_VERSION": VERSION,
            "KIRA_WHEEL": f"s3://{self.bucket}/bundle.zip",
            "KIRA_OLLAMA": f"http://127.0.0.1:{free_port()}",
            "KIRA_VRAM_MIB": str(VRAM_MIB),
        }
        self.write_parameters()

    def write_parameters(self) -> None:
        """Write fleet.env, as the stack does in front of user data."""
        path = self.root / "etc/kira/fleet.env"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}={value}\n" for name, value in self.parameters.items()))
        programs = self.root / "programs"
        programs.mkdir(exist_ok=True)
        script = Path(__file__).with_name("systemctl.py").read_text()
        (programs / "systemctl").write_text(f"#!{sys.executable}\n{script}")
        (programs / "systemctl").chmod(0o755)
        self.path = [str(programs)]

    def put(self, key: str, data: bytes) -> None:
        """Put an object into the bucket."""
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=data)

    def put_program(self, text: str) -> None:
        """Put what is called Ollama there, as its makers publish it."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as written:
            entry = tarfile.TarInfo("bin/ollama")
            entry.mode, entry.size = 0o755, len(text.encode())
            written.addfile(entry, io.BytesIO(text.encode()))
        self.put(f"fleet/{ARCHIVE}", archive.getvalue())
        sums = f"{_sum(archive.getvalue())}  ./{Path(ARCHIVE).name}\n"
        self.put(f"fleet/ollama/{VERSION}/sha256sum.txt", sums.encode())

    def put_model(self) -> None:
        """Put a model there, in Ollama's own layout."""
        parts = [b"what the model is", b"weights" * 100_000]
        for part in parts:
            self.put(f"fleet/models/blobs/sha256-{_sum(part)}", part)
        config, weights = ({"digest": f"sha256:{_sum(part)}", "size": len(part)} for part in parts)
        manifest = json.dumps({"config": config, "layers": [weights]})
        self.put(f"fleet/models/{PLACE}", manifest.encode())

    def put_bundle(self, folder: Path, authorities: Path) -> None:
        """Put Kira there; its one library leads to those that the tests run with, since nothing is downloaded here."""
        libraries = folder / "libraries"
        libraries.mkdir(parents=True)
        name = "kira_libraries-1-py3-none-any.whl"
        with zipfile.ZipFile(libraries / name, "w") as wheel:
            wheel.writestr("kira_libraries.pth", sysconfig.get_path("purelib") + "\n")
            wheel.writestr(
                "kira_libraries-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: kira-libraries\nVersion: 1\n"
            )
            wheel.writestr(
                "kira_libraries-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr("kira_libraries-1.dist-info/RECORD", "")
        lock = folder / "requirements.txt"
        lock.write_text(f"kira-libraries==1 --hash=sha256:{_sum((libraries / name).read_bytes())}\n")
        made = folder / "bundle.zip"
        given: list[str | Path] = ["--lock", lock, "--libraries", libraries, "--authorities", authorities]
        subprocess.run([sys.executable, DEPLOY / "bundle.py", made, *given], check=True, capture_output=True)
        self.put("bundle.zip", made.read_bytes())

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run user data."""
        return subprocess.run(
            ["/bin/bash", str(DEPLOY / "user_data.sh")],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def pid(self, unit: str) -> int:
        """Return the process of a service."""
        return int((self.root / "run/systemctl" / unit).read_text())

    def log(self, unit: str) -> str:
        """Return what a service said."""
        return (self.root / "var/log" / f"{unit}.log").read_text()

    def end(self) -> None:
        """End what was started here."""
        for path in (self.root / "run/systemctl").glob("*"):
            try:
                os.kill(int(path.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
