"""The judge counts what goes at the same time and is not deceived by what arrives late."""

from __future__ import annotations

from kira.adapters.engine.ollama.flow import Flow
from kira.adapters.engine.ollama.judging import READS_TO_OVERLAP, TOKENS_ALONE, TOKENS_TO_DECIDE, Judge, Verdict


def flow() -> Flow:
    """Return a flow that was asked for just now."""
    return Flow("test", 0.0)


def run() -> Flow:
    """Return a run that streams and began as soon as it was asked for."""
    made = flow()
    made.heard(1)
    made.asked_at = made.began_at or 0.0
    return made


def go_on(*flows: Flow, reads: int = TOKENS_TO_DECIDE) -> None:
    """Let every flow be read `reads` times, in turns."""
    for _ in range(reads):
        for each in flows:
            each.heard(1)


def decided(judge: Judge) -> Verdict | None:
    """Return the verdict; fails when there is none yet."""
    assert judge.verdict.done()
    return judge.verdict.result()


async def test_all_that_go_on_together_are_counted() -> None:
    runs, probes = [run()], [flow(), flow()]
    judge = Judge(runs, probes)
    go_on(*runs, *probes)
    assert not judge.verdict.done()
    go_on(*runs, *probes, reads=2)
    assert decided(judge) == Verdict(3, is_exact=False)


async def test_probes_that_did_not_begin_with_the_others_stand_in_line() -> None:
    runs, probes = [run()], [flow(), flow(), flow()]
    judge = Judge(runs, probes)
    go_on(*runs, *probes[:2], reads=2 * TOKENS_TO_DECIDE)
    while not judge.verdict.done():
        go_on(*runs, *probes[:2], reads=1)
    assert decided(judge) == Verdict(3, is_exact=True)


async def test_a_run_that_ended_disturbs_the_count() -> None:
    runs, probes = [run()], [flow(), flow()]
    judge = Judge(runs, probes)
    go_on(*runs, probes[0], reads=3)
    runs[0].ended()
    assert decided(judge) is None


async def test_what_was_sent_before_the_end_is_no_overlap() -> None:
    runs, probes = [run()], [flow()]
    judge = Judge(runs, probes)
    go_on(*probes, reads=1)
    runs[0].heard(TOKENS_TO_DECIDE)  # one late read with many tokens of a run that has ended
    go_on(*probes)
    assert not judge.verdict.done()
    runs[0].ended()
    assert decided(judge) is None


async def test_a_probe_that_does_not_begin_beside_a_run_stands_in_line() -> None:
    runs, probes = [run()], [flow()]
    judge = Judge(runs, probes)
    go_on(*runs, reads=TOKENS_ALONE)
    assert decided(judge) == Verdict(1, is_exact=True)


async def test_a_run_that_ends_too_soon_proves_nothing() -> None:
    runs, probes = [run()], [flow()]
    judge = Judge(runs, probes)
    go_on(*runs, reads=TOKENS_TO_DECIDE - 1)
    runs[0].ended()
    assert decided(judge) is None


async def test_a_probe_is_given_as_long_as_the_run_had_to_begin() -> None:
    runs, probes = [run()], [flow()]
    assert runs[0].began_at is not None
    runs[0].asked_at = runs[0].began_at - 60
    judge = Judge(runs, probes)
    go_on(*runs, reads=2 * TOKENS_ALONE)
    assert not judge.verdict.done()


async def test_a_probe_that_fails_disturbs_the_count() -> None:
    judge = Judge([run()], [flow(), failing := flow()])
    failing.ended()
    assert decided(judge) is None


async def test_a_probe_that_ended_early_counts_only_if_it_overlapped() -> None:
    first, second = [flow(), flow()], [flow(), flow()]
    overlapped, too_short = Judge([], first), Judge([], second)
    go_on(*first, reads=TOKENS_TO_DECIDE + 2)
    first[0].ended()
    assert decided(overlapped) == Verdict(2, is_exact=False)
    go_on(*second, reads=READS_TO_OVERLAP)
    second[0].ended()
    assert decided(too_short) is None


async def test_a_judge_that_is_closed_watches_no_longer() -> None:
    probe = flow()
    judge = Judge([], [probe])
    judge.close()
    go_on(probe, reads=100)
    assert not judge.verdict.done()
