"""The tiny models, and a process group of this process alone."""

import os
from collections.abc import Iterator

import pytest
import torch.distributed as dist

from aar.compute.engine import Group
from tests.tiny_model import bert_folder, llama, llama_folder, qwen_folder

__all__ = ["bert_folder", "llama", "llama_folder", "qwen_folder"]


@pytest.fixture(scope="session")
def process_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """torch.distributed with one rank, over gloo."""
    if dist.is_initialized():  # other parts' tests import this fixture, and a process has one such group
        yield
        return
    os.environ["LOCAL_RANK"] = "0"  # DeepSpeed insists on it; Ray Train sets it
    meeting = tmp_path_factory.mktemp("gloo") / "meeting"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture(scope="session")
def alone(process_group: None) -> Group:
    """A group whose ranks train students of their own."""
    return Group(0)
