"""What every researcher finds in /shared before it has done anything: how the lab works, and the data to look at."""

import io
import json
from dataclasses import asdict
from importlib.resources import files

import numpy as np

from aar.methods import builtin_names, builtin_source
from aar.researchers.prompts import read_prompt
from aar.researchers.toolkit.platform import Platform
from aar.researchers.toolkit.shared import FILE_TOOL, Shared


def stock(shared: Shared, platform: Platform) -> None:
    """Put it there. Raises AarError when the scorer cannot say what the task is."""
    shared.write(FILE_TOOL, files(__package__).joinpath("files_program.py").read_bytes())
    shared.write("lab/README.md", read_prompt("lab").encode())
    for name in ("client.py", "program.py"):
        shared.write(f"lab/{name}", files("aar.lab").joinpath(name).read_bytes())
    for name in builtin_names():
        shared.write(f"lab/methods/{name}.py", builtin_source(name).encode())
    if not shared.has("data/weak_labels.npy"):
        _stock_data(shared, platform)


def _stock_data(shared: Shared, platform: Platform) -> None:
    task = platform.task()
    lines = (json.dumps(asdict(example), ensure_ascii=False) for example in task.examples)
    shared.write("data/examples.jsonl", "".join(f"{line}\n" for line in lines).encode())
    labels = io.BytesIO()
    np.save(labels, task.weak_labels, allow_pickle=False)
    shared.write("data/weak_labels.npy", labels.getvalue())
