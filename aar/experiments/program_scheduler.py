"""Runs a campaign's training programs: each once, where Ray has room for it, and stores the students that they make.

A program's output is checked before any of it is stored, and nothing is stored of output that is refused. However many
programs end at the same time, only a few adapters are in memory.

Ray reserves the GPUs of a program, and its sandbox sees only those. It also reserves memory, so that no more programs
run at a time than fit. CPUs are not reserved: where the training workers hold them all, a program could never start.
"""

import logging
import threading
import time
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from aar.budget import Resources
from aar.compute.client import ComputeClient
from aar.compute.requests import ImportAdapter
from aar.config import CampaignConfig, ProgramsConfig
from aar.errors import SandboxError, TrainingError
from aar.experiments.program_sandbox import ProgramRun, run_program
from aar.models.catalog import model_folder
from aar.ray_utils import get, log_to_ray
from aar.sandbox import provider
from aar.sandbox.api import GIB

RETRIES = 2
MAX_ADAPTERS = 2

log = logging.getLogger(__name__)


class ProgramScheduler:
    """Runs the training programs of one campaign."""

    def __init__(self, config: CampaignConfig, compute: ActorHandle[Any], scorer: ActorHandle[Any]) -> None:
        self._config, self._compute, self._scorer = config, compute, scorer
        self._adapters = threading.Semaphore(MAX_ADAPTERS)

    def student(self, program: ProgramRun, model: str, account: str) -> str:
        """Return the key of the student of the strong model `model` that a program makes; at once if it ran before.

        Args:
            account: the researcher to whom device time and storage are charged, even if the program fails.

        Raises:
            LabError: it wrote no adapter; the message is for its author.
            ModelError: its adapter is not a valid student.
            QuotaError: the researcher's storage is full.
            TrainingError: the process that ran it was lost, also when it was repeated.
            SandboxError: the sandbox could not be set up.
            StorageError: the student could not be stored.
        """
        name = program.key(model)
        if get(self._compute.has.remote(name)):
            earlier: bytes = get(self._compute.get.remote(name))
            return earlier.decode()
        ended = self._run(program, model, account)
        with self._adapters:
            request = ImportAdapter(model, program.labels, program.recipe, self._adapter(ended))
            student = ComputeClient(self._compute, account).train(request)
        get(self._compute.put.remote(name, student.encode(), account))
        return student

    def _run(self, program: ProgramRun, model: str, account: str) -> Any:
        """Run a program; return the reference to its adapter or its error, which are not fetched yet."""
        settings = self._config.programs
        task = ray.remote(_run_here).options(
            num_cpus=0, num_gpus=settings.gpus, memory=_reserved_bytes(settings), max_retries=RETRIES
        )
        decoys = self._scorer.decoys.remote(account)
        running = task.remote(program, model, self._config, self._compute, account, decoys)
        ray.wait([running], fetch_local=False)
        return running

    def _adapter(self, ended: Any) -> bytes:
        try:
            adapter: bytes = get(ended)
        except (WorkerCrashedError, OutOfMemoryError, NodeDiedError) as error:
            raise TrainingError(
                f"the process that ran the training program was lost {RETRIES + 1} times, often because its machine "
                f"had too little memory ({type(error).__name__}); use fewer ranks or smaller batches"
            ) from None
        return adapter


def _run_here(
    program: ProgramRun,
    model: str,
    config: CampaignConfig,
    compute: ActorHandle[Any],
    account: str,
    decoys: dict[str, bytes],
) -> bytes:
    """Run a program, as a Ray task, and charge its device time."""
    log_to_ray()
    sandboxes = provider(config.sandbox.provider)
    began = time.monotonic()
    try:
        return run_program(program, model_folder(model), sandboxes, config.programs, _own_gpus(), decoys, account)
    finally:
        seconds, settings = time.monotonic() - began, config.programs
        used = Resources(cpu_seconds=seconds * settings.cpus, gpu_seconds=seconds * settings.gpus)
        key = f"program/{program.key(model)}/{time.time_ns()}"  # a program that failed may run, and be charged, again
        log.info(
            "program %.12s of %s: %d ranks, ended after %.1f s", program.key(model), account, program.ranks, seconds
        )
        get(compute.charge.remote(account, key, used))


def _own_gpus() -> tuple[int, ...]:
    """Return the numbers of the GPUs that Ray has given to this task."""
    numbers = [str(number) for number in ray.get_gpu_ids()]
    if not all(number.isdecimal() for number in numbers):
        raise SandboxError(
            f"Ray names its GPUs {', '.join(numbers)}, but programs can only be given whole GPUs by number. Start Ray "
            "without CUDA_VISIBLE_DEVICES, or set programs.gpus = 0."
        )
    return tuple(map(int, numbers))


def _reserved_bytes(config: ProgramsConfig) -> int:
    """Return the memory to reserve: a program's limit, or all of the largest node, since more never becomes free."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = max((node.get("memory", 0) for node in nodes), default=0)
    return int(min(config.memory_gib * GIB, largest))
