"""The choice of the next method: openings first, then variations of the best, and nothing twice."""

from collections.abc import Mapping
from itertools import product

from aar.researchers.brains.search.optimiser import DEFAULT, PRIORS, Proposal, prior_of, propose
from aar.researchers.brains.search.reading import Knowledge, Plan, Trial
from aar.researchers.brains.search.space import DIMENSIONS, VANILLA, MethodSpec
from aar.researchers.directions import builtin_directions

EM = MethodSpec(labels="em", hard=False)
EVERYTHING = frozenset(
    MethodSpec(**dict(zip(DIMENSIONS, point, strict=True))).canonical() for point in product(*DIMENSIONS.values())
)


def knowledge(
    trials: Mapping[MethodSpec, float | None], announced: int = 0, tried: frozenset[MethodSpec] = frozenset()
) -> Knowledge:
    done = tuple(Trial(spec, value, "bob", 7, "c0ffee", None) for spec, value in trials.items())
    plans = tuple(Plan(index, EM, index, "c0ffee", None) for index in range(announced))
    return Knowledge(done, tried | set(trials), plans, frozenset())


def proposed(known: Knowledge, direction: str, researcher: str, vanilla_pgr: float) -> Proposal:
    """What is proposed while something is left to try."""
    proposal = propose(known, direction, researcher, vanilla_pgr)
    assert proposal is not None
    return proposal


def test_directions_open_with_different_specs() -> None:
    openings = [proposed(knowledge({}), name, "ada", 0.4).spec for name in PRIORS]
    assert len(set(openings)) == len(PRIORS)


def test_an_opening_that_somebody_has_tried_is_passed_over() -> None:
    opening = PRIORS["strong-prior"].openings[0].spec
    proposal = proposed(knowledge({opening: 0.5}), "strong-prior", "ada", 0.4)
    assert proposal.spec != opening


def test_after_the_openings_the_best_method_of_anybody_is_varied_in_the_directions_dimensions() -> None:
    trials = {EM: 0.6, MethodSpec(labels="prior"): 0.5}
    for name, prior in PRIORS.items():
        proposal = proposed(knowledge(trials, announced=2), name, "ada", 0.4)
        assert proposal.base is not None and proposal.base.spec == EM
        changes = set(proposal.spec.changes_from(EM))
        assert changes <= set(prior.explore) and 1 <= len(changes) <= 2


def test_vanilla_is_varied_while_nothing_known_beats_it() -> None:
    proposal = proposed(knowledge({EM: 0.1}, announced=1), "strong-prior", "ada", 0.4)
    assert proposal.base is None
    assert "schedule" not in proposal.spec.changes_from(VANILLA)


def test_researchers_choose_differently_but_each_always_the_same() -> None:
    known = knowledge({EM: 0.6}, announced=1)
    choices = {name: proposed(known, "my own", name, 0.4).spec for name in ("ada", "bob", "eve", "kim")}
    assert len(set(choices.values())) > 1
    assert choices == {name: proposed(known, "my own", name, 0.4).spec for name in choices}


def test_nothing_that_was_tried_by_anybody_is_chosen_again() -> None:
    known = knowledge({EM: 0.6}, announced=1)
    for _ in range(30):
        proposal = proposed(known, "training-dynamics", "ada", 0.4)
        assert proposal.spec not in known.tried | {VANILLA}
        known = knowledge({trial.spec: trial.value for trial in known.trials} | {proposal.spec: None}, announced=1)


def test_when_a_direction_is_exhausted_the_whole_space_is_open() -> None:
    left = MethodSpec(labels="product", loss="logconf", hard=False)
    near = frozenset(spec for spec in EVERYTHING if spec.loss == "xent")
    proposal = proposed(knowledge({EM: 0.6}, announced=1, tried=near), "strong-prior", "ada", 0.4)
    assert proposal.spec.loss == left.loss


def test_when_everything_has_been_tried_there_is_no_proposal() -> None:
    assert propose(knowledge({EM: 0.6}, announced=1, tried=EVERYTHING), "agreement", "ada", 0.4) is None


def test_the_optimiser_learns_which_values_pay() -> None:
    some = sorted(EVERYTHING, key=repr)[::40]
    best = MethodSpec(labels="prior", weights="confidence")
    trials = {spec: 0.9 if spec.labels == "em" else 0.1 for spec in some}
    known = knowledge(trials | {best: 0.95}, announced=1)
    chosen = [proposed(known, "my own", f"researcher-{number}", 0.4).spec.changes_from(best) for number in range(60)]
    labels = [changes["labels"] for changes in chosen if "labels" in changes]
    assert labels.count("em") > len(labels) / 2


def test_every_direction_has_a_prior_and_no_prior_lacks_its_direction() -> None:
    assert sorted(PRIORS) == builtin_directions()


def test_every_opening_is_a_canonical_spec_of_its_own_that_is_not_vanilla() -> None:
    specs = [opening.spec for prior in [*PRIORS.values(), DEFAULT] for opening in prior.openings]
    assert all(spec == spec.canonical() and spec != VANILLA for spec in specs)
    assert len(set(specs)) == len(specs)


def test_a_direction_explores_known_dimensions_and_an_unknown_one_all_of_them() -> None:
    assert all(set(prior.explore) <= set(DIMENSIONS) for prior in PRIORS.values())
    assert set(prior_of("something of my own").explore) == set(DIMENSIONS)
