"""An audit of a campaign from its folder: the traces that every part left, examined together, and a readable report.

Researchers' code is parsed and never run. A trace that cannot be read, because of how somebody wrote it, becomes a
suspicion about that trace alone, and everything else is still examined.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from aar.campaign.folder import code_folder, forum_file, stored_config
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum, Post
from aar.commons.quoting import markdown_span
from aar.config import PLATFORM, CampaignConfig
from aar.errors import AssetError, LedgerError, ProblemError
from aar.methods import METHOD_FILE
from aar.problems.key import Key
from aar.problems.loading import load_dataset
from aar.researchers.transcript import read, transcript_folders
from aar.scoring.audit import GRADES, Finding
from aar.scoring.audit.claims import NO_SCORES, KnownScores, unbacked
from aar.scoring.audit.code import code_findings, seed_hunting
from aar.scoring.audit.probing import probing
from aar.scoring.audit.traces import decoys_touched, transcript_findings
from aar.scoring.draws import INSTRUCTION_SHARE
from aar.scoring.ledger import ORIGIN, verify_chain
from aar.scoring.records import DEV, Experiment
from aar.scoring.store import FILE as SCORES_FILE
from aar.scoring.store import ScoreStore
from aar.storage import storage_errors, write_atomic

JSON_FILE, REPORT_FILE = "audit.json", "audit.md"
POSTS_PER_PAGE = 200


def audit_campaign(folder: Path) -> list[Finding]:
    """Examine everything in `folder`, write the findings to audit.json and audit.md, and return them.

    Raises CampaignError or StorageError if the folder cannot be read or written.
    """
    audit = _Audit(folder)
    findings = list(audit.findings())
    with storage_errors(folder):
        write_atomic(folder / JSON_FILE, json.dumps([asdict(finding) for finding in findings], indent=1))
        write_atomic(folder / REPORT_FILE, report(audit.config.name, findings, audit.head))
    return findings


def stored_findings(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the kinds of findings beyond notes in the last audit, by experiment; nothing if there was no audit."""
    file = folder / JSON_FILE
    if not file.is_file():
        return {}
    with storage_errors(file):
        kinds: dict[str, list[str]] = defaultdict(list)
        for finding in json.loads(file.read_text()):
            for experiment in finding["experiments"] if finding["grade"] != "note" else ():
                kinds[experiment].append(finding["kind"])
    return {experiment: tuple(dict.fromkeys(names)) for experiment, names in kinds.items()}


def report(name: str, findings: list[Finding], ledger_head: str) -> str:
    """Render the findings as a Markdown document."""
    lines = [f"# Audit of {name}", "", f"Ledger: {ledger_head}", ""]
    if not findings:
        lines.append("Nothing was found. That is not proof that there is nothing.")
    for grade in GRADES:
        graded = [finding for finding in findings if finding.grade == grade]
        lines += [f"# {_HEADINGS[grade]}", ""] if graded else []
        for kind in dict.fromkeys(finding.kind for finding in graded):
            lines += [f"## {kind}", ""]
            for finding in (each for each in graded if each.kind == kind):
                about = ", ".join((finding.researcher, *finding.experiments))
                lines += [
                    f"* **{about}**: {markdown_span(finding.words)}",
                    f"  Evidence: {markdown_span(finding.evidence)}",
                ]
            lines.append("")
    return "\n".join(lines) + "\n"


_HEADINGS = {
    "finding": "Findings: this happened",
    "suspicion": "Suspicions: look at these before you believe the score",
    "note": "Notes: honest work may look like this",
}


class _Audit:
    """One audit of a campaign's folder."""

    def __init__(self, folder: Path) -> None:
        self.config: CampaignConfig = stored_config(folder)
        self._folder = folder
        self._book = ScoreStore(folder, read_only=True) if (folder / SCORES_FILE).exists() else None
        self._ledger = self._book.ledger() if self._book else []
        self._experiments = (
            [experiment for experiment in self._book.experiments() if not experiment.verification_of]
            if self._book
            else []
        )
        self._key = self._book.key() if self._book else Key.new()
        self.head = self._book.ledger_head() if self._book else ORIGIN

    def findings(self) -> Iterator[Finding]:
        yield from self._chain()
        yield from self._submissions()
        yield from self._code()
        yield from self._posts()
        yield from self._failures()
        yield from self._transcripts()

    def _guarded(
        self, researcher: str, experiment: str | None, what: str, look: Callable[[], Iterable[Finding]]
    ) -> list[Finding]:
        """Examine one trace that somebody wrote. If it cannot be read, that is itself a suspicion."""
        try:
            return list(look())
        # Whatever a text does to our code is its author's doing and must not hide anything else from the audit.
        except Exception as error:
            rows = (experiment,) if experiment else ()
            why = f"{type(error).__name__}: {str(error)[:200]}"
            return [Finding("unreadable", "suspicion", researcher, rows, f"the audit could not read {what}", why)]

    def _chain(self) -> Iterator[Finding]:
        try:
            verify_chain(self._ledger)
        except LedgerError as broken:
            yield Finding("ledger", "finding", "unknown", (), "the ledger's chain is broken", str(broken))

    def _by_researcher(self) -> dict[str, list[Experiment]]:
        groups: dict[str, list[Experiment]] = defaultdict(list)
        for experiment in self._experiments:
            if experiment.researcher != PLATFORM:
                groups[experiment.researcher].append(experiment)
        return groups

    def _submissions(self) -> Iterator[Finding]:
        for researcher, experiments in self._by_researcher().items():
            answers = {
                experiment.id: self._answers(experiment) for experiment in experiments if experiment.status == "scored"
            }
            yield from probing(researcher, {name: known for name, known in answers.items() if known is not None})

    def _answers(self, experiment: Experiment) -> np.ndarray | None:
        """(seeds, items) where an experiment was right on dev, its datasets next to one another."""
        assert self._book is not None
        answers = [self._book.correctness(dataset, DEV, experiment.id) for dataset in experiment.datasets]
        by_seed = [correct.by_seed for correct in answers if correct is not None]
        return np.concatenate(by_seed, axis=1) if len(by_seed) == len(answers) else None

    def _code(self) -> Iterator[Finding]:
        texts = self._texts()
        for researcher, experiments in self._by_researcher().items():
            sources: dict[str, str] = {}
            for experiment in experiments:
                yield from self._guarded(
                    researcher, experiment.id, "the method", partial(self._method, experiment, texts, sources)
                )
            yield from self._guarded(researcher, None, "its methods", partial(seed_hunting, researcher, sources))

    def _method(self, experiment: Experiment, texts: set[str], sources: dict[str, str]) -> Iterator[Finding]:
        """Examine one method, and add its source to `sources`."""
        sources[experiment.id] = source = self._source(experiment.snapshot)
        yield from decoys_touched(experiment.researcher, experiment.id, "the method", source, self._key)
        yield from code_findings(experiment.researcher, experiment.id, source, texts)

    def _source(self, snapshot: str) -> str:
        store = CodeStore(code_folder(self._folder), read_only=True)
        return store.checkout(snapshot).get(METHOD_FILE, b"").decode(errors="replace")

    def _texts(self) -> set[str]:
        """Every text of the research datasets that are available, except instructions that many rows share."""
        if self._book is None:
            return set()
        counts: Counter[str] = Counter()
        rows = 0
        for dataset in self.config.problem.research:
            try:
                data = load_dataset(dataset, self._key)
            except (AssetError, ProblemError):
                continue
            for split in (data.train_label, data.train_unlabel, data.test):
                rows += len(split)
                counts.update(text for example in split.examples for text in asdict(example).values())
        return {text for text, count in counts.items() if count <= INSTRUCTION_SHARE * rows}

    def _posts(self) -> Iterator[Finding]:
        known, researchers = known_numbers(self._book), {researcher.name for researcher in self.config.researchers}
        for post in self._forum():
            look = partial(self._post, post, known if post.author in researchers else None)
            yield from self._guarded(post.author, post.experiment, f"post {post.id}", look)

    def _post(self, post: Post, known: KnownScores | None) -> Iterator[Finding]:
        text = f"{post.title.text}\n{post.body.text}\n{json.dumps(post.data)}"
        yield from decoys_touched(post.author, post.experiment, f"post {post.id}", text, self._key)
        yield from unbacked([post], known) if known else ()

    def _forum(self) -> list[Post]:
        file = forum_file(self._folder)
        forum = Forum(file, read_only=True) if file.exists() else None
        posts: list[Post] = []
        while forum and (page := forum.posts(after=posts[-1].id if posts else 0, limit=POSTS_PER_PAGE)):
            posts += page
        return posts

    def _failures(self) -> Iterator[Finding]:
        for experiment in self._experiments:
            printed = experiment.failure.text if experiment.failure else ""
            yield from decoys_touched(
                experiment.researcher, experiment.id, "what it printed", printed, self._key, by_method=True
            )

    def _transcripts(self) -> Iterator[Finding]:
        for name, folder in transcript_folders(self._folder).items():
            yield from self._guarded(name, None, "the transcript", partial(self._transcript, name, folder))

    def _transcript(self, name: str, folder: Path) -> list[Finding]:
        return transcript_findings(name, ((entry.kind, entry.data) for entry in read(folder)), self._key)


def released_numbers(folder: Path) -> KnownScores:
    """Return every number that the platform has released in the campaign in `folder`; none before it has scores."""
    return known_numbers(ScoreStore(folder, read_only=True) if (folder / SCORES_FILE).exists() else None)


def known_numbers(book: ScoreStore | None) -> KnownScores:
    """Return every number that the platform has released in a campaign."""
    if book is None:
        return NO_SCORES
    experiments = [experiment for experiment in book.experiments() if not experiment.verification_of]
    names = {dataset for experiment in experiments for dataset in experiment.datasets}
    baselines = [ends for name in sorted(names) if (ends := book.baselines(name))]
    return KnownScores.of(experiments, baselines, book.verifications())
