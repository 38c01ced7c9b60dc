"""Progress of an experiment: the output of its runs, and their end on demand."""

import threading

from aar.experiments.method_sandbox import MAX_LOG_CHARACTERS, Progress
from aar.scoring.records import ExperimentRun

FIRST, SECOND = ExperimentRun("data", 1), ExperimentRun("data", 2)


def test_the_log_has_the_output_of_each_ended_run_in_their_order() -> None:
    progress = Progress()
    for run, text in ((SECOND, "two\n"), (FIRST, "one\n")):
        observer = progress.of(run)
        observer.started(lambda: None)
        observer.ended(text)
    progress.of(ExperimentRun("data", 3)).started(lambda: None)
    assert progress.log() == "data, seed 1:\none\n\ndata, seed 2:\ntwo\n"


def test_long_output_is_cut_at_the_beginning_and_the_log_says_so() -> None:
    progress = Progress()
    progress.of(FIRST).ended("x" * MAX_LOG_CHARACTERS + "\nthe end")
    log = progress.log()
    assert f"(the last {MAX_LOG_CHARACTERS} of {MAX_LOG_CHARACTERS + 8} characters)\n" in log
    assert log.endswith("the end") and len(log) < MAX_LOG_CHARACTERS + 200


def test_output_cannot_act_on_a_terminal() -> None:
    progress = Progress()
    progress.of(FIRST).ended("\x1b[2Jhidden\x00 text\nnext line")
    assert progress.log() == "data, seed 1:\n?[2Jhidden? text\nnext line"


def test_a_cancellation_ends_all_runs_those_that_start_later_included() -> None:
    progress, stops = Progress(), [threading.Event() for _ in range(3)]
    for run, stop in zip((FIRST, SECOND), stops, strict=False):
        progress.of(run).started(stop.set)
    assert not any(stop.is_set() for stop in stops)
    progress.cancel()
    assert [stop.is_set() for stop in stops] == [True, True, False]
    progress.of(FIRST).started(stops[2].set)
    assert stops[2].is_set()
