"""Runs a training program, a researcher's own torch loop, in a sandbox, and reads the weights that it writes.

Covers: a program that raises, hangs, exhausts memory or writes nothing ends as a LabError that its author can act on;
its inputs are read-only, and its output is read without following links and only up to a limit.
Does not cover: whether those bytes are a student. `aar.models.adoption` checks that.
"""

import dataclasses
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from aar.compute.requests import content_key, source_digest
from aar.config import ProgramsConfig
from aar.errors import CrowdedError, LabError, UntrustedFileError
from aar.experiments.broker import printable
from aar.guest.training_task import ADAPTER, DATA
from aar.models.recipe import Recipe
from aar.sandbox import TRAINING_PYTHON, Limits, Outcome, Provider, Spec
from aar.sandbox.api import GIB, MIB
from aar.sandbox.linux.identity import FOLDERS, remove, sandbox_folder_prefix
from aar.sandbox.linux.training import ROOTS
from aar.sandbox.memory import share_bytes
from aar.untrusted_files import read_file

MAX_ADAPTER_BYTES = 512 * MIB
LINES_SHOWN = 20
PROCESSES_PER_RANK = 64


@dataclass(frozen=True, eq=False)
class ProgramRun:
    """A program and its inputs besides the strong model; the fields are those of `training_task.Task`."""

    source: bytes
    ranks: int
    arrays: Mapping[str, np.ndarray]
    examples: list[dict[str, str]]
    kind: str
    seed: int
    weak_labels: np.ndarray
    texts: tuple[tuple[str, ...], ...]
    recipe: Recipe
    labels: tuple[str, str]

    def key(self, model: str) -> str:
        """Return a hex digest of the program, its inputs, and the software that it runs with."""
        inputs = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return content_key("program", {**inputs, "model": model}, _version())


@functools.cache
def _version() -> str:
    """Return the version of the software that a program finds installed."""
    code = source_digest(("aar.models", None), ("aar.guest", ("training_task.py", "launch_ranks.py")))
    return " ".join([code, *(f"{name} {version(name)}" for name in ROOTS)])


def run_program(
    run: ProgramRun,
    model: Path,
    provider: Provider,
    config: ProgramsConfig,
    gpus: tuple[int, ...] = (),
    decoys: Mapping[str, bytes] | None = None,
    owner: str = "",
) -> bytes:
    """Run a program and return the adapter that it wrote, unchecked.

    Args:
        decoys: files to put beside its inputs, which no program has a reason to read (aar.sandbox.decoys).
        owner: the account whose sandboxes share one part of the machine's memory.

    Raises:
        LabError: it wrote none, or no memory became free for it in time; the message is for its author.
        SandboxError: the sandbox could not be set up.
    """
    with _folder() as folder:
        task, work = folder / "task", folder / "work"
        work.mkdir()
        _write_task(run, task, decoys or {})
        spec = Spec(
            command=(*TRAINING_PYTHON, "-m", "aar.guest.launch_ranks", str(run.ranks), "/data/task/program.py"),
            limits=_limits(config, run.ranks),
            view="training",
            read_only={"/data/task": task, **_model_files(model, folder)},
            workspace=work,
            gpus=gpus,
            owner=owner,
            environment={DATA: "/data", "OMP_NUM_THREADS": str(max(1, config.cpus // run.ranks))},
        )
        with provider.open(spec) as sandbox:
            try:
                outcome = sandbox.run()
            except CrowdedError as error:
                raise LabError(str(error)) from None
            return _adapter(work, outcome)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=sandbox_folder_prefix(), dir=FOLDERS))
    try:
        yield folder
    finally:
        remove(folder)


def _limits(config: ProgramsConfig, ranks: int) -> Limits:
    return Limits(
        memory_bytes=min(int(config.memory_gib * GIB), share_bytes("programs")),
        cpu_seconds=config.wall_seconds * config.cpus,
        wall_seconds=config.wall_seconds,
        processes=PROCESSES_PER_RANK * (ranks + 1),
        file_bytes=MAX_ADAPTER_BYTES,
        open_files=4096,
    )


def _model_files(model: Path, spare: Path) -> dict[str, Path]:
    """Return the model's files one by one, because in a hub's cache they are links to other folders."""
    return {f"/data/model/{file.name}": _readable(file.resolve(), spare) for file in model.iterdir() if file.is_file()}


def _readable(file: Path, spare: Path) -> Path:
    """Return the file, or a copy in `spare` if the sandbox's user could not read the file itself."""
    if file.stat().st_mode & 0o004 or os.geteuid() != 0:
        return file
    copy = Path(shutil.copyfile(file, spare / file.name))
    copy.chmod(0o644)
    return copy


def _write_task(run: ProgramRun, folder: Path, decoys: Mapping[str, bytes]) -> None:
    (folder / "arrays").mkdir(parents=True)
    for name, content in decoys.items():
        (folder / name).write_bytes(content)
    for name, array in run.arrays.items():
        np.save(folder / "arrays" / f"{name}.npy", array, allow_pickle=False)
    np.save(folder / "weak_labels.npy", run.weak_labels, allow_pickle=False)
    (folder / "program.py").write_bytes(run.source)
    facts = {
        "examples": run.examples, "kind": run.kind, "seed": run.seed, "texts": run.texts, "labels": run.labels,
        "recipe": run.recipe.model_dump(),
    }  # fmt: skip
    (folder / "task.json").write_text(json.dumps(facts))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # the sandbox runs as another user


def _adapter(work: Path, outcome: Outcome) -> bytes:
    if outcome.killed or outcome.exit_code:
        reason = f"was killed: {outcome.killed}" if outcome.killed else f"ended with exit code {outcome.exit_code}"
        raise LabError(_with_output(f"the training program {reason}", outcome))
    try:
        return read_file(work, ADAPTER, MAX_ADAPTER_BYTES)
    except UntrustedFileError as error:
        raise LabError(_with_output(f"the training program handed back no {ADAPTER}: {error}", outcome)) from None


def _with_output(reason: str, outcome: Outcome) -> str:
    lines = (outcome.stdout + outcome.stderr).splitlines()[-LINES_SHOWN:]
    return printable("\n".join([reason, *(["it printed:", *lines] if lines else [])]))
