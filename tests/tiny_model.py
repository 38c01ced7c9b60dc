"""Tiny random models and a tokenizer, saved as transformers saves them, and a task that such a model can learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from aar.models.language_model import LanguageModel
from aar.models.recipe import Texts

torch.set_num_threads(1)

SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")
FILLERS = tuple(f"word{number}" for number in range(190))
MARKS = ("cat", "dog")
WORDS = (*SPECIAL, *MARKS, "A", "B", "True", "False", *FILLERS)
LABELS = (" A", " B")
DEPTH, HIDDEN = 4, 32
CPU = torch.device("cpu")


def tiny_config(kind: type[PreTrainedConfig], **changes: object) -> PreTrainedConfig:
    """A configuration of `kind` in which everything is small; random weights are large enough to mix tokens."""
    settings: dict[str, object] = {
        "vocab_size": len(WORDS), "hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": DEPTH,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64,
        "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3,
    }  # fmt: skip
    return kind(**{**settings, **changes})


def save(model: type[PreTrainedModel], config: PreTrainedConfig, folder: Path, *, start_token: bool = True) -> Path:
    """Random weights by a fixed seed and a tokenizer of whole words, in `folder`."""
    torch.manual_seed(0)
    model(config).save_pretrained(folder)
    words = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    start = {"bos_token": "<s>"} if start_token else {}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", pad_token="<pad>", **start
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of four layers."""
    return save(LlamaForCausalLM, tiny_config(LlamaConfig), tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of four layers, without a start token as the real ones."""
    folder = tmp_path_factory.mktemp("models") / "qwen"
    return save(Qwen3ForCausalLM, tiny_config(Qwen3Config), folder, start_token=False)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that reads at most 16 tokens."""
    config = tiny_config(BertConfig, num_hidden_layers=2, max_position_embeddings=16)
    return save(BertModel, config, tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> LanguageModel:
    """The tiny Llama, loaded in float32."""
    return LanguageModel(llama_folder, CPU, torch.float32)


def sentences(count: int, seed: int = 0, longest: int = 9) -> list[str]:
    """Random texts of one to `longest` words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(FILLERS, rng.integers(1, longest + 1))) for _ in range(count)]


def marked_texts(count: int, seed: int = 0) -> tuple[Texts, np.ndarray]:
    """A task: the class of a text is which of the two marks it holds. One text each, and (n,) labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    return tuple((_marked(rng, MARKS[label]),) for label in labels), labels


def marked_pairs(count: int, seed: int = 0) -> tuple[Texts, np.ndarray]:
    """The same as a preference: the better one of two texts holds "dog"."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    orders = [MARKS if label else MARKS[::-1] for label in labels]
    return tuple((_marked(rng, first), _marked(rng, second)) for first, second in orders), labels


def _marked(rng: np.random.Generator, mark: str) -> str:
    words = list(rng.choice(FILLERS, rng.integers(2, 6)))
    words.insert(int(rng.integers(0, len(words))), mark)
    return " ".join(words)
