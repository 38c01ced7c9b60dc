"""From a name to a folder, without a network."""

import socket
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from aar.errors import ModelError
from aar.models.catalog import model_folder
from aar.models.inference import SentenceEncoder
from aar.models.language_model import LanguageModel
from tests.tiny_model import CPU

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_local_folder_is_itself(llama_folder: Path) -> None:
    assert model_folder(str(llama_folder)) == llama_folder


def test_the_home_folder_may_be_abbreviated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").touch()
    assert model_folder("~/m") == tmp_path / "m"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model here \(config.json is missing\)"):
        model_folder(str(tmp_path))


def test_the_builtin_student_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    converted = tmp_path / "aar" / "models" / "smollm2-135m"
    converted.mkdir(parents=True)
    (converted / "config.json").touch()
    assert model_folder("smollm2-135m") == converted


@pytest.mark.parametrize("name", ["smollm3", "a b/c/d", f"a b/c/d@{COMMIT}"])
def test_a_name_that_is_not_valid_is_answered_with_the_valid_ones(name: str) -> None:
    with pytest.raises(ModelError, match=f'"{name}" is not a valid model: give one of smollm2-135m, minilm'):
        model_folder(name)


def cached(folder: Path, weights: str) -> Path:
    """A model in the hub's cache: "main" has moved on since the commit that a campaign was begun with."""
    repository = folder / "hub" / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("f" * 40)
    for commit, content in ((COMMIT, weights), ("f" * 40, "replaced")):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text(content)
    return repository / "snapshots"


def test_a_hub_name_means_one_commit_whatever_its_branch_points_to(
    empty_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    snapshots = cached(tmp_path, "mine")
    assert model_folder(f"somebody/tiny@{COMMIT}") == snapshots / COMMIT
    for name in ("somebody/tiny", "somebody/tiny@main", "somebody/tiny@0123456"):
        with pytest.raises(ModelError, match=f'"{name}" is not a valid model.*a hub name with its commit'):
            model_folder(name)


@pytest.mark.parametrize("load", [LanguageModel, SentenceEncoder])
def test_pickled_weights_are_not_loaded(llama_folder: Path, tmp_path: Path, load: type) -> None:
    for file in llama_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load(tmp_path, CPU, torch.float32) if load is LanguageModel else load(tmp_path, CPU)


def test_offline_an_unknown_hub_name_is_answered_with_what_to_do(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r'"Qwen/Nothing-0B@01.*Check the name, its commit and the network.*its path'):
        model_folder(f"Qwen/Nothing-0B@{COMMIT}")


@pytest.mark.slow  # the hub's package tries again for 23 seconds
@pytest.mark.timeout(60)
def test_a_hub_that_cannot_be_reached_is_answered_the_same(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError, match=r'"Qwen/Nothing-0B@01.*Check the name, its commit and the network'):
        model_folder(f"Qwen/Nothing-0B@{COMMIT}")
