"""The OpenAPI document is true: what is generated from it never fails, and every answer is one that it tells of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.api.caller import Caller
from tests.api.conftest import served_at

from kira.web.apps import build

QUICK = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
NEEDS_A_SECRET = {
    "POST /api/auth/sign-in",
    "POST /api/auth/local",
    "POST /api/auth/refresh",
    "POST /api/auth/password",
    "DELETE /api/auth/sessions/{session_id}",
}
"""Operations that no generated request can bring to success."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(build(None).openapi())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}


@contextmanager
def served(folder: Path, label: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Serve in a thread, because the generated requests block; yields address, token and ids that exist."""
    ready: Future[tuple[str, str, dict[str, str]]] = Future()
    stop = threading.Event()

    async def run() -> None:
        async with served_at(folder) as kira, aiohttp.ClientSession(kira.address) as session:
            caller = await Caller(session).sign_up("alice")
            ready.set_result((kira.address, str(caller.token), await _ids(caller)))
            await asyncio.to_thread(stop.wait)

    def tell_failure(ended: Future[None]) -> None:
        if not ready.done():
            ready.set_exception(ended.exception() or EOFError())

    with ThreadPoolExecutor(1, label) as threads:
        running = threads.submit(asyncio.run, run())
        running.add_done_callback(tell_failure)
        try:
            yield ready.result()
        finally:
            stop.set()
        running.result()


async def _ids(caller: Caller) -> dict[str, str]:
    conversation_id = await caller.begin()
    run = await caller.ask(conversation_id, "What is a slot?")
    widget = await caller.post("/api/widgets", {"kind": "usage"})
    return {
        "conversation_id": conversation_id,
        "message_id": run["answer_id"],
        "run_id": run["id"],
        "widget_id": widget.json["id"],
    }


def test_every_operation_of_the_document_is_tried() -> None:
    told = build(None).openapi()["paths"]
    assert set(OPERATIONS) == {f"{method.upper()} {path}" for path, item in told.items() for method in item}


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_generated_request_is_answered_as_the_document_says(tmp_path: Path, label: str) -> None:
    statuses = set()
    with served(tmp_path, label) as (address, token, ids):

        @settings(QUICK)
        @given(case=generated(OPERATIONS[label]), exists=st.booleans())
        def ask(case: schemathesis.Case[Any], exists: bool) -> None:
            if exists:
                case.path_parameters = {name: ids.get(name, value) for name, value in case.path_parameters.items()}
            response = case.call(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=20)
            case.validate_response(response, checks=CHECKS)
            statuses.add(response.status_code)

        ask()
    assert any(status < 400 for status in statuses) == (label not in NEEDS_A_SECRET), statuses


def generated(operation: Any) -> st.SearchStrategy[schemathesis.Case[Any]]:
    """Return requests as the document allows them and, where there is anything to get wrong, others."""
    allowed: st.SearchStrategy[schemathesis.Case[Any]] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query):
        return allowed
    return st.one_of(allowed, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
