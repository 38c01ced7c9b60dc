"""A campaign that ends within a minute: a task of whole words, a tiny model, a teacher taught by eight examples."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tiny_model import marked_pairs, save, tiny_config

SIZES = {"train_label": 16, "train_unlabel": 48, "test": 160}
TOML = """
name = "tiny"
folder = "{folder}"

[problem.teacher]
model = "{model}"
kind = "causal_lm"
examples = 8
[problem.teacher.recipe]
form = "scalar_head"
lora_rank = 4
last_layers = 2
lr = 2e-3
epochs = 1
batch_size = 8
max_tokens = 32

[problem.student]
model = "{model}"

[problem.recipe]
form = "scalar_head"
lora_rank = 4
last_layers = 2
lr = 0.02
epochs = 6
batch_size = 8
max_tokens = 32

[[problem.datasets]]
name = "marked"
source = "{data}"

[scoring]
baseline_seeds = 3
seeds = 2

[verification]
best = 1
seeds = 2

[budget]
minutes = 20
experiments_per_researcher = 2

[compute]
cpus_per_worker = 1
precision = "float32"

[cluster]
dashboard_port = {port}

[[researchers]]
name = "ada"
direction = "strong-prior"

[[researchers]]
name = "ben"
direction = "data-reweighting"
"""


def write_campaign(folder: Path, port: int) -> Path:
    """Data, model and settings of a tiny campaign below `folder`; returns the TOML."""
    model = save(LlamaForCausalLM, tiny_config(LlamaConfig), folder / "model")
    data = folder / "data"
    data.mkdir()
    for seed, (split, size) in enumerate(SIZES.items()):
        texts, labels = marked_pairs(size, seed=seed)
        rows = [
            {"prompt": "", "first": first, "second": second, "label": "AB"[label]}
            for (first, second), label in zip(texts, labels, strict=True)
        ]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = folder / "tiny.toml"
    file.write_text(TOML.format(folder=folder / "campaign", model=model, data=data, port=port))
    return file


def start(*arguments: object) -> "subprocess.Popen[str]":
    """An `aar` process of its own, its output kept."""
    command = [sys.executable, "-m", "aar", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def finish(process: "subprocess.Popen[str]", seconds: float = 240) -> str:
    """Wait for a process that must succeed; its output."""
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, output
    return output


def wait_for(what: str, happened: Callable[[], bool], seconds: float = 120) -> None:
    """Poll until something has happened."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.1)


def kill(root: "subprocess.Popen[str]", title: str) -> bool:
    """SIGKILL a process below `root` whose command line contains `title`; False when there is none."""
    for process in psutil.Process(root.pid).children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                process.kill()
                return True
        except psutil.NoSuchProcess:
            continue
    return False
