"""The recipe of a run, noted fit by fit."""

from aar.experiments.backend import FitLog
from aar.scoring.records import FitRecipe


def test_a_single_fit_is_its_epochs_and_its_rate() -> None:
    log = FitLog()
    log.fitted("student-1", 2.0, 1e-3, None)
    assert log.fits == (FitRecipe(2.0, 1e-3),) and log.number("student-1") == 0


def test_starts_and_students_that_were_asked_before_a_fit_are_numbers_of_fits() -> None:
    log = FitLog()
    log.fitted("student-1", 2.0, 1e-3, None)
    log.fitted("student-2", 1.0, 1e-3, "student-1")
    for handle in ("student-2", "student-1", "student-2"):
        log.asked(handle)
    log.fitted("student-3", 2.0, 1e-3, None)
    log.fitted("student-4", 2.0, 1e-3, "student-3")
    assert log.fits == (
        FitRecipe(2.0, 1e-3),
        FitRecipe(1.0, 1e-3, start=0),
        FitRecipe(2.0, 1e-3, distilled_from=(0, 1)),
        FitRecipe(2.0, 1e-3, start=2),
    )


def test_an_ensemble_of_many_is_seen_as_one_student_taught_by_many() -> None:
    log = FitLog()
    for number in range(16):
        log.fitted(f"student-{number}", 1.0, 1e-3, None)
    for number in range(16):
        log.asked(f"student-{number}")
    log.fitted("distilled", 1.0, 1e-3, None)
    assert log.fits[log.number("distilled")].distilled_from == tuple(range(16))


def test_a_program_of_its_own_cannot_be_replayed() -> None:
    log = FitLog()
    log.fitted("a", 1, 0.1, None)
    log.made_by_method("b")
    log.asked("b")
    assert log.fits is None
    assert log.number("b") == 1
