"""From a name to a folder, without a network."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from aar.errors import ModelError
from aar.models.catalog import model_folder


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


def test_what_is_no_name_at_all_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match='"a b/c/d" is no model: aar knows smollm2-135m, minilm'):
        model_folder("a b/c/d")


def test_offline_an_unknown_hub_name_is_answered_with_what_to_do(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r'"Qwen/Nothing-0B".*Check the name and the network.*give its path'):
        model_folder("Qwen/Nothing-0B")


@pytest.mark.timeout(20)
def test_a_hub_that_cannot_be_reached_is_answered_the_same(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError, match=r'"Qwen/Nothing-0B".*Check the name and the network'):
        model_folder("Qwen/Nothing-0B")
