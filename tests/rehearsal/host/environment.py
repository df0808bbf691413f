"""What Lambda sets in the environment of a function beside what the template gives."""

from __future__ import annotations

from pathlib import Path

from tests.rehearsal.host.runtime import PYTHON, Runtime
from tests.rehearsal.host.spec import REGION, Spec

SECRET = "not-to-be-printed-anywhere"
REHEARSED = frozenset({"AWS_ENDPOINT_URL"})
"""What no function on AWS has: the address at which AWS is played here."""


def environment_of(spec: Spec, runtime: Runtime, opt: Path) -> dict[str, str]:
    """Return the whole environment of a function's process; nothing of the caller's own is in it."""
    places = {"/opt": opt, "/var/runtime": runtime.packages, "/var/task": spec.folder}
    said = {name: _here(value, places) for name, value in spec.environment.items()}
    return {**_of_lambda(spec, runtime, opt), **_roles(spec), **said}


def _here(value: str, places: dict[str, Path]) -> str:
    """Read a path on Lambda as the one that stands for it here."""
    for name, place in places.items():
        if value == name or value.startswith(f"{name}/"):
            return f"{place}{value.removeprefix(name)}"
    return value


def _of_lambda(spec: Spec, runtime: Runtime, opt: Path) -> dict[str, str]:
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{PYTHON}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": spec.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "rehearsal",
        "AWS_REGION": REGION,
        "LAMBDA_RUNTIME_DIR": str(runtime.packages),
        "LAMBDA_TASK_ROOT": str(spec.folder),
        "LANG": "en_US.UTF-8",
        "PATH": f"{runtime.bin}:/usr/local/bin:/usr/bin/:/bin:{opt}/bin",
        "PYTHONPATH": str(runtime.packages),
        "TZ": ":UTC",
        "_HANDLER": spec.handler,
    }


def _roles(spec: Spec) -> dict[str, str]:
    """Return the credentials of the function's role, and where it must use them here."""
    return {
        "AWS_ACCESS_KEY_ID": spec.key_id,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": f"session-of-{spec.name}",
        **({"AWS_ENDPOINT_URL": spec.endpoint} if spec.endpoint else {}),
    }
