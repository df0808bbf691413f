"""A function runs as on Lambda: alone with its assets, one invocation at a time, frozen between, killed when late."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.rehearsal.host.adapter import NotRehearsed
from tests.rehearsal.host.environment import REHEARSED
from tests.rehearsal.host.function import Function
from tests.rehearsal.host.invocation import DELIMITER, Failed, Throttled, TooLarge
from tests.rehearsal.host.runtime import CLIENT, SDK, distributions, layer_here, managed_runtime
from tests.rehearsal.host.spec import WRAPPER, Spec

SMALL = Path(__file__).parent / "small"
Deploy = Callable[..., Function]
# Set by the shell, the runtime client or the interpreter for themselves.
OWN = {"LC_CTYPE", "PWD", "_X_AMZN_TRACE_ID"}
OF_LAMBDA = {"LANG", "PATH", "PYTHONPATH", "TZ", "_HANDLER"}


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Deploy a small function; it ends with the test."""
    made: list[Function] = []

    def deployed(folder: str = "plain", handler: str = "handler.handler", **said: Any) -> Function:
        spec = Spec(folder, handler, SMALL / folder, **{"timeout_s": 30, **said})
        made.append(Function(spec, managed_runtime(), tmp_path / str(len(made))))
        return made[-1]

    yield deployed
    for each in made:
        each.close()


def asked(function: Function, **event: Any) -> Any:
    return function.invoke(json.dumps(event).encode())


def test_an_environment_is_kept_for_the_next_invocation(deploy: Deploy) -> None:
    function = deploy()
    first, second = asked(function), asked(function)
    assert (first["count"], second["count"], second["pid"]) == (1, 2, first["pid"])
    assert second["arn"] == function.spec.arn
    assert 25_000 < second["left"] <= 30_000


def test_nothing_is_importable_but_the_function_its_layers_and_the_runtime(deploy: Deploy) -> None:
    function = deploy(layers=(layer_here(), SMALL / "layer"))
    for name in ("rich", "tests", "kira", "pytest"):
        with pytest.raises(Failed, match=f"No module named '{name}'"):
            asked(function, do="import", name=name)
    for name, place in (("boto3", "runtime"), ("fastapi", "plain.opt"), ("brought", "plain.opt")):
        assert place in asked(function, do="import", name=name)


def test_a_function_without_its_layer_lacks_it(deploy: Deploy) -> None:
    with pytest.raises(Failed, match="No module named 'fastapi'"):
        asked(deploy(), do="import", name="fastapi")


def test_the_environment_is_what_the_template_gives_and_what_lambda_sets(deploy: Deploy, monkeypatch: Any) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "must not be seen")
    function = deploy(environment={"OF_THE_TEMPLATE": "yes"}, endpoint="http://localhost:9", memory_mb=512)
    found = asked(function, do="environment")
    assert found["OF_THE_TEMPLATE"] == "yes"
    assert found["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    others = found.keys() - OWN - OF_LAMBDA - REHEARSED - {"OF_THE_TEMPLATE"}
    assert [name for name in others if not name.startswith(("AWS_", "LAMBDA_"))] == []


def test_what_waits_is_frozen(deploy: Deploy) -> None:
    function = deploy()
    pid = asked(function)["pid"]
    state = Path(f"/proc/{pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
    assert asked(function)["pid"] == pid


def test_what_is_late_is_killed_and_the_next_one_starts_afresh(deploy: Deploy) -> None:
    function = deploy(timeout_s=1)
    first = asked(function)["pid"]
    with pytest.raises(Failed, match=r"Task timed out after 1\.00 seconds") as failed:
        asked(function, do="sleep", seconds=60)
    assert failed.value.is_timeout
    assert asked(function)["pid"] != first
    until(lambda: not Path(f"/proc/{first}").exists())


def test_no_more_run_at_once_than_are_reserved(deploy: Deploy) -> None:
    function = deploy(reserved=1)
    with function.running(json.dumps({"do": "sleep", "seconds": 1}).encode()), pytest.raises(Throttled):
        asked(function)
    assert asked(function)["count"] == 2


def test_as_many_environments_as_there_are_calls_at_once(deploy: Deploy) -> None:
    function = deploy(reserved=3)
    calls = [threading.Thread(target=asked, args=(function,), kwargs={"do": "sleep", "seconds": 1}) for _ in range(3)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(function.sandboxes) == 3


def test_new_code_answers_what_comes_and_the_old_ends_what_it_has_begun(deploy: Deploy, tmp_path: Path) -> None:
    function = deploy(environment={"VERSION": "old"})
    with function.running(json.dumps({"do": "sleep", "seconds": 1}).encode()) as begun:
        assert asked(function, do="environment")["VERSION"] == "old"
        busy, idle = (each.process for each in function.sandboxes)
        function.deploy(replace(function.spec, environment={"VERSION": "new"}), tmp_path / "next")
        assert (busy.is_alive, idle.is_alive) == (True, False)
        assert asked(function, do="environment")["VERSION"] == "new"
        assert begun.result() is None
    assert not busy.is_alive
    assert asked(function)["count"] == 2


@pytest.mark.parametrize("wrong", ["nowhere.handler", "handler.nothing"])
def test_a_wrong_handler_is_told(deploy: Deploy, wrong: str) -> None:
    with pytest.raises(Failed, match=r"Runtime\.ImportModuleError|Runtime\.HandlerNotFound"):
        asked(deploy(handler=wrong))


def test_what_cannot_be_loaded_says_what_it_lacks(deploy: Deploy) -> None:
    function = deploy("broken")
    with pytest.raises(Failed, match="No module named 'a_library_that_is_nowhere'"):
        asked(function)
    assert "a_library_that_is_nowhere" in function.told()


def test_an_exception_and_an_exit_are_told_and_the_function_lives_on(deploy: Deploy) -> None:
    function = deploy()
    with pytest.raises(Failed, match="ValueError: as it was asked"):
        asked(function, do="raise")
    assert asked(function)["count"] == 2
    with pytest.raises(Failed, match=r"Runtime\.ExitError"):
        asked(function, do="exit")
    assert asked(function)["count"] == 1


def test_six_megabytes_are_the_most_in_either_direction(deploy: Deploy) -> None:
    function = deploy()
    with pytest.raises(Failed, match=r"Function\.ResponseSizeTooLarge"):
        asked(function, do="big", bytes=6 * 1024 * 1024)
    assert len(asked(function, do="big", bytes=6 * 1024 * 1024 - 2)) == 6 * 1024 * 1024 - 2
    with pytest.raises(TooLarge):
        asked(function, with_="x" * 6 * 1024 * 1024)


def test_a_web_server_behind_the_adapter_streams(deploy: Deploy) -> None:
    function = deploy("web", "run.sh", layers=(layer_here(),), environment=adapted())
    with function.running(_rest("/words", {"words": ["one.two.three"]})) as invocation:
        pieces = list(invocation.pieces())
    head, _, rest = pieces[0].partition(DELIMITER)
    assert invocation.streams
    assert invocation.framed
    assert json.loads(head)["statusCode"] == 200
    assert json.loads(head)["cookies"] == ["a=1", "b=2"]
    assert json.loads(head)["headers"]["content-type"] == "text/event-stream"
    assert [piece for piece in [rest, *pieces[1:]] if piece] == [b"words=one", b"two", b"three"]


def test_the_adapter_passes_on_what_was_asked(deploy: Deploy) -> None:
    function = deploy("web", "run.sh", layers=(layer_here(),), environment=adapted(AWS_LWA_INVOKE_MODE="buffered"))
    event = json.loads(_rest("/echo", {"q": ["1", "2"]}))
    body = base64.b64encode(b"\xffhello").decode()
    answer = function.invoke(json.dumps(event | {"httpMethod": "POST", "body": body, "isBase64Encoded": True}).encode())
    told = json.loads(base64.b64decode(answer["body"]))
    assert (answer["statusCode"], told["query"], told["body"]) == (201, "q=1&q=2", "\xffhello")
    assert told["headers"]["accept"] == "*/*"
    assert json.loads(told["headers"]["x-amzn-request-context"]) == {"stage": "s"}


def test_a_web_server_that_is_not_ready_is_told(deploy: Deploy) -> None:
    function = deploy("web", "run.sh", environment=adapted())
    with pytest.raises(Failed, match=r"Runtime\.ExitError"):
        function.invoke(_rest("/words"))
    assert "No module named uvicorn" in function.told()


def test_a_setting_of_the_adapter_that_is_not_rehearsed_is_refused(deploy: Deploy) -> None:
    function = deploy("web", "run.sh", environment=adapted(AWS_LWA_SOMETHING_NEW="1"))
    with pytest.raises(NotRehearsed, match="AWS_LWA_SOMETHING_NEW"):
        function.invoke(_rest("/words"))


def test_the_runtime_has_what_lambda_brings_and_nothing_else() -> None:
    assert {name for name, _ in distributions(managed_runtime().packages)} == CLIENT | SDK


def adapted(**more: str) -> dict[str, str]:
    return {
        "AWS_LAMBDA_EXEC_WRAPPER": WRAPPER,
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_PORT": "8000",
        "AWS_LWA_READINESS_CHECK_PATH": "/ready",
        **more,
    }


def until(true: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(1000):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it never came")


def _rest(path: str, query: dict[str, list[str]] | None = None) -> bytes:
    return json.dumps(
        {
            "httpMethod": "GET",
            "path": path,
            "multiValueHeaders": {"accept": ["*/*"]},
            "multiValueQueryStringParameters": query,
            "requestContext": {"stage": "s"},
        }
    ).encode()
