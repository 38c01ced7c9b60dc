"""A researcher's shared folder: plain files that it may read, such as the forum, snapshots and long outputs.

The folder appears in the researcher's sandbox as /shared. Only the platform writes to it, so no link can be planted in
it. From the start it contains the lab's documentation and training data to look at.
"""

import inspect
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from aar.guest import lab, training_task
from aar.methods import builtin_names, builtin_source
from aar.researchers.client import CampaignClient
from aar.researchers.prompts import read_prompt
from aar.storage import storage_errors, write_atomic
from aar.untrusted_files import check_files

SHOWN_AS = "/shared"


class SharedFolder:
    """One researcher's shared folder. Safe for any thread. Raises StorageError if it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._turn = folder, threading.Lock()
        with storage_errors(folder):
            self._make(folder)

    def write(self, name: str, content: bytes) -> str:
        """Write a whole file, replacing an older one, and return its path as the researcher sees it.

        Raises ValueError if the name would lead out of the folder.
        """
        path = self.folder / name
        if ".." in path.parts or not path.is_relative_to(self.folder):
            raise ValueError(f"{name!r} leads out of {SHOWN_AS}")
        with self._turn, storage_errors(path):
            self._make(path.parent)
            write_atomic(path, content, fsync=False, mode=0o644)
        return f"{SHOWN_AS}/{name}"

    def write_all(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Write the files of a snapshot below a folder, and return its path as the researcher sees it.

        Raises UntrustedFileError if a name would lead out of the folder.
        """
        check_files(files)
        for name, content in files.items():
            self.write(f"{folder}/{name}", content)
        return f"{SHOWN_AS}/{folder}"

    def has(self, name: str) -> bool:
        """True if a file or folder of this name exists."""
        return (self.folder / name).exists()

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        while folder != self.folder.parent:
            folder.chmod(0o755)
            folder = folder.parent


def populate_shared_folder(shared: SharedFolder, client: CampaignClient) -> None:
    """Write the lab's documentation and the training data. Raises AarError if the scorer cannot provide the data."""
    shared.write("lab/README.md", read_prompt("lab").encode())
    for module in (lab, training_task):
        shared.write(f"lab/{Path(str(module.__file__)).name}", inspect.getsource(module).encode())
    for name in builtin_names():
        shared.write(f"lab/methods/{name}.py", builtin_source(name).encode())
    if not shared.has("data/weak_labels.npy"):
        _write_training_data(shared, client)


def _write_training_data(shared: SharedFolder, client: CampaignClient) -> None:
    task = client.training_data()
    lines = (json.dumps(asdict(example), ensure_ascii=False) for example in task.examples)
    shared.write("data/examples.jsonl", "".join(f"{line}\n" for line in lines).encode())
    labels = io.BytesIO()
    np.save(labels, task.weak_labels, allow_pickle=False)
    shared.write("data/weak_labels.npy", labels.getvalue())
