"""From nothing to the first answer: deployed from the template, word by word, allowed by the roles."""

from __future__ import annotations

from tests.browser.rig import Models
from tests.rehearsal.rig import Rehearsal
from tests.rehearsal.scenario import ask_first, visiting


async def test_a_new_user_asks_and_reads_the_answer_as_it_comes(rehearsed: Rehearsal, models: Models) -> None:
    models.behave(tokens=20, rate=10)  # longer than a busy machine stands still
    async with visiting(rehearsed.address) as nobody:
        seen = await ask_first(nobody, "alice")
    deltas = [moment for moment, frame in zip(seen.moments, seen.frames, strict=True) if frame.kind == "delta"]
    assert len(set(deltas)) > 2
    assert len(seen.text.split()) > 5
    models.calm()


def test_the_schema_and_the_dashboard_are_there_before_anybody_comes(rehearsed: Rehearsal) -> None:
    assert "the schema is up to date" in rehearsed.functions.named("migrate").told()
