"""Verification and audit of planted cheats on the quickstart's problem, with its real models.

    python -m benchmarks.planted [--seeds N] [CHEAT ...]

The cheats are those of tests/scoring/planted, with "prior_mean", an honest method, for comparison. All run in one
campaign, in its own folder next to the quickstart's, as experiments of one researcher. Each is verified as `aar verify`
does it, on N fresh seeds (default 5) with all controls; the one that trains sixteen students only with those that
concern it. Then the campaign is audited. Takes about two hours on two cores; if it is started again, it resumes.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from aar.campaign.adhoc import PERSON, derived_config
from aar.campaign.audit import stored_findings
from aar.campaign.run import CampaignRun, run_session
from aar.campaign.state import CampaignState
from aar.config import VerificationConfig, load_config
from aar.methods import METHOD_FILE
from aar.ray_utils import get
from aar.reporting.results import verdict_words, verification_lines
from aar.scoring.records import Experiment
from aar.scoring.verification.verdicts import latest

ROOT = Path(__file__).parents[1]
PLANTED = ROOT / "tests" / "scoring" / "planted"
HONEST = "prior_mean"
HONEST_SOURCE = '''"""Teacher and prior in equal parts."""


def supervise(lab):
    return lab.fine_tune((lab.weak_labels + lab.zero_shot()) / 2)
'''
ENSEMBLE = "ensembles_16"
CLAIM = "claims_a_number"
LUCKY_ORDERS = 4
SHORT = VerificationConfig(transfer=False, controls=["recipe", "capability"])
FITS = 20
"""More than a quickstart's methods may ask for: sixteen students and one are allowed here."""


class Quiet:
    """Says in which phase the campaign is."""

    def __init__(self) -> None:
        self._phase = ""

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)

    def show(self, state: CampaignState) -> None:
        """Print a new phase."""
        if state.phase != self._phase:
            self._phase = state.phase
            print(f"  {self._phase}", flush=True)


def source_of(name: str) -> str:
    """The method's text."""
    return HONEST_SOURCE if name == HONEST else (PLANTED / f"{name}.py").read_text()


def experiment(session: CampaignRun, name: str, source: str) -> Experiment:
    """The method as an experiment, run on dev."""
    files = {METHOD_FILE: source.encode()}
    return session.wait_for(get(session.experiments.submit.remote(PERSON.name, files, name, name)))


def planted(names: list[str], whole: VerificationConfig) -> Callable[[CampaignRun], None]:
    """The work of a session: each cheat does what it does, and is verified."""

    def work(session: CampaignRun) -> None:
        session.measure_baselines()
        for name in names:
            tried = experiment(session, name, source_of(name))
            if name == "picks_seeds":
                for seed in range(1, LUCKY_ORDERS):
                    experiment(session, f"{name}_{seed}", source_of(name).replace("SEED = 0", f"SEED = {seed}"))
            if name == CLAIM:
                post = (PERSON.name, "result", "Vanilla, tuned: PGR 0.97", "PGR 0.97 on every seed.")
                get(session.commons.post.remote(*post, key=CLAIM, experiment=tried.id))
            session.verify(tried, SHORT if name == ENSEMBLE else whole)
        session.audit()

    return work


def main(names: list[str], seeds: int) -> None:
    """Run and print."""
    settings = load_config(ROOT / "jobs" / "quickstart.toml", [f"budget.fits_per_method={FITS}"])
    config = derived_config(settings, "planted", None)
    state = run_session(config, Quiet(), planted(names, VerificationConfig(transfer=False, seeds=seeds)))
    notes, verdicts = {experiment.id: experiment.note.text for experiment in state.experiments}, verdict_words(state)
    findings = stored_findings(state.folder)
    for verification in latest(state.verifications):
        print(f"\n{notes[verification.experiment]}: {verdicts[verification.experiment]}")
        print(*(f"  {line}" for line in verification_lines(state, verification)), sep="\n")
        for control in verification.controls:
            print(f"  {control.control}: {control.verdict} ({control.words})")
        print(f"  audit: {', '.join(findings.get(verification.experiment, ())) or 'nothing'}")


if __name__ == "__main__":
    cheats = sorted([HONEST, *(file.stem for file in PLANTED.glob("*.py"))], key=lambda name: (name == ENSEMBLE, name))
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("cheats", nargs="*", metavar="CHEAT", choices=[*cheats, []], default=cheats)
    given = parser.parse_args()
    main(given.cheats, given.seeds)
