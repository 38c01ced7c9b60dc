"""A campaign's training programs: each runs once, where Ray finds room for it, and the student it made is kept.

What a program hands back is checked before anything of it is kept; what is refused leaves nothing. However
many programs end at a time, few adapters are in memory.

Ray keeps the GPUs free that a program is given, and its sandbox is shown those alone. Memory is reserved as well, so
that no more programs run at a time than fit. CPUs are not: where the training workers hold them all, a program could
never start.
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
ADAPTERS_IN_HAND = 2

log = logging.getLogger(__name__)


class ProgramScheduler:
    """Runs the training programs of one campaign."""

    def __init__(self, config: CampaignConfig, compute: ActorHandle[Any], scorer: ActorHandle[Any]) -> None:
        self._config, self._compute, self._scorer = config, compute, scorer
        self._hands = threading.Semaphore(ADAPTERS_IN_HAND)

    def student(self, program: ProgramRun, model: str, account: str) -> str:
        """The key of the student of the strong model `model` that a program made; at once if it ran before.

        Args:
            account: the researcher to whom device time and storage are charged, whatever comes of it.

        Raises:
            LabError: it handed back no adapter; the message is for its author.
            ModelError: what it handed back is no student's.
            QuotaError: what is kept for the researcher is full.
            TrainingError: the process that ran it was lost, again and again.
            SandboxError: the sandbox could not be set up.
            StorageError: the student could not be kept.
        """
        name = program.key(model)
        if get(self._compute.has.remote(name)):
            earlier: bytes = get(self._compute.get.remote(name))
            return earlier.decode()
        ended = self._run(program, model, account)
        with self._hands:
            adopt = ImportAdapter(model, program.labels, program.recipe, self._adapter(ended))
            student = ComputeClient(self._compute, account).train(adopt)
        get(self._compute.put.remote(name, student.encode(), account))
        return student

    def _run(self, program: ProgramRun, model: str, account: str) -> Any:
        """Where what a program handed back, or what went wrong, can be had from."""
        wanted = self._config.programs
        task = ray.remote(_run_here).options(
            num_cpus=0, num_gpus=wanted.gpus, memory=_reserved_bytes(wanted), max_retries=RETRIES
        )
        beside = self._scorer.decoys.remote(account)
        running = task.remote(program, model, self._config, self._compute, account, beside)
        ray.wait([running], fetch_local=False)
        return running

    def _adapter(self, ended: Any) -> bytes:
        try:
            adapter: bytes = get(ended)
        except (WorkerCrashedError, OutOfMemoryError, NodeDiedError) as error:
            raise TrainingError(
                f"the process that ran the training program was lost {RETRIES + 1} times, often for want of memory on "
                f"its machine ({type(error).__name__}); use fewer ranks or smaller batches"
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
    """The Ray task."""
    log_to_ray()
    wall = provider(config.sandbox.provider)
    began = time.monotonic()
    try:
        return run_program(program, model_folder(model), wall, config.programs, _own_gpus(), decoys, account)
    finally:
        seconds, given = time.monotonic() - began, config.programs
        used = Resources(cpu_seconds=seconds * given.cpus, gpu_seconds=seconds * given.gpus)
        key = f"program/{program.key(model)}/{time.time_ns()}"  # one that failed may run, and cost, again
        log.info(
            "program %.12s of %s: %d ranks, ended after %.1f s", program.key(model), account, program.ranks, seconds
        )
        get(compute.charge.remote(account, key, used))


def _own_gpus() -> tuple[int, ...]:
    """The numbers of the GPUs that Ray has given to this task."""
    numbers = [str(number) for number in ray.get_gpu_ids()]
    if not all(number.isdecimal() for number in numbers):
        raise SandboxError(
            f"Ray names its GPUs {', '.join(numbers)}, and programs can be given whole ones by number alone. Start Ray "
            "without CUDA_VISIBLE_DEVICES, or set programs.gpus = 0."
        )
    return tuple(map(int, numbers))


def _reserved_bytes(config: ProgramsConfig) -> int:
    """What Ray sets aside: a program's limit, or all that the largest node has, since more never comes free."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = max((node.get("memory", 0) for node in nodes), default=0)
    return int(min(config.memory_gib * GIB, largest))
