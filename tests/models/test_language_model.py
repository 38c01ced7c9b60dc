"""A language model cut in two is the same function as the whole, whatever its architecture."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
)

from aar.errors import ModelError
from aar.models.language_model import LanguageModel
from tests.tiny_model import CPU, DEPTH, LABELS, WORDS, save, tiny_config

IDS = torch.tensor([[5, 17, 80, 9, 120, 33]])


@pytest.fixture(scope="module", params=["llama", "qwen"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return LanguageModel(request.getfixturevalue(f"{request.param}_folder"), CPU, torch.float32)


@pytest.mark.parametrize("last_layers", [1, 2, 3, DEPTH, None])
def test_the_halves_together_are_the_whole(model: LanguageModel, last_layers: int | None) -> None:
    cut = model.cut(last_layers)
    with torch.no_grad():
        whole = model.backbone(input_ids=IDS, use_cache=False).last_hidden_state
        states = cut.bottom(input_ids=IDS, use_cache=False).last_hidden_state
        halves = cut.top(inputs_embeds=states, use_cache=False).last_hidden_state
    torch.testing.assert_close(halves, whole, rtol=1e-5, atol=1e-5)
    assert len(cut.bottom.layers) + len(cut.top.layers) == DEPTH


def test_only_the_layers_of_the_top_can_be_adapted(model: LanguageModel) -> None:
    linears = model.cut(2).linears
    assert {name.split("/")[0] for name in linears} == {"2", "3"}
    assert {name.split("/", 1)[1] for name in linears} >= {"self_attn/q_proj", "self_attn/o_proj", "mlp/down_proj"}
    assert set(linears) < set(model.cut(None).linears)


def test_cutting_twice_gives_the_same_halves(model: LanguageModel) -> None:
    assert model.cut(2) is model.cut(2)
    assert model.cut(None) is model.cut(DEPTH)


def test_a_loaded_model_is_that_of_transformers_and_frozen(llama_folder: Path, llama: LanguageModel) -> None:
    original = AutoModelForCausalLM.from_pretrained(llama_folder).model
    with torch.no_grad():
        expected = original(input_ids=IDS).last_hidden_state
        torch.testing.assert_close(llama.backbone(input_ids=IDS).last_hidden_state, expected)
    assert not any(parameter.requires_grad for parameter in llama.backbone.parameters())


def test_attention_for_training_gives_the_same_numbers(model: LanguageModel) -> None:
    cut = model.cut(2)
    with torch.no_grad():
        states = cut.bottom(input_ids=IDS, use_cache=False).last_hidden_state
        predicting = cut.top(inputs_embeds=states, use_cache=False).last_hidden_state
        model.train_mode(True)
        training = cut.top(inputs_embeds=states, use_cache=False).last_hidden_state
        model.train_mode(False)
    torch.testing.assert_close(training, predicting, rtol=1e-5, atol=1e-5)


def test_more_layers_than_there_are_cannot_be_adapted(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match=f"last_layers = 5, but the model has {DEPTH} layers"):
        model.cut(DEPTH + 1)


def test_a_long_text_loses_its_beginning(llama: LanguageModel) -> None:
    text = "word1 word2 word3 word4"
    assert llama.encode([text], 2) == [[WORDS.index("word3"), WORDS.index("word4")]]
    assert llama.encode([text], 100)[0] == [WORDS.index(word) for word in text.split()]


def test_a_text_without_tokens_is_refused(llama: LanguageModel) -> None:
    with pytest.raises(ModelError, match="no tokens: '  '"):
        llama.encode(["word1", "  "], 8)


def test_the_label_direction_is_a_difference_of_logits(llama_folder: Path, llama: LanguageModel) -> None:
    original = AutoModelForCausalLM.from_pretrained(llama_folder)
    with torch.no_grad():
        logits = original(input_ids=IDS).logits[0, -1]
        hidden = original.model(input_ids=IDS).last_hidden_state[0, -1]
    expected = logits[WORDS.index("B")] - logits[WORDS.index("A")]
    torch.testing.assert_close(hidden @ llama.label_direction(LABELS), expected)


def test_an_architecture_that_scales_layer_inputs_is_not_silently_another_model(tmp_path: Path) -> None:
    config = tiny_config(GraniteConfig, embedding_multiplier=12.0)
    model = LanguageModel(save(GraniteForCausalLM, config, tmp_path), CPU, torch.float32)
    with pytest.raises(ModelError, match="GraniteModel cannot be cut"):
        model.cut(2)


def test_an_architecture_without_known_layers_is_refused(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=len(WORDS), n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2)
    with pytest.raises(ModelError, match="GPT2LMHeadModel"):
        LanguageModel(save(GPT2LMHeadModel, config, tmp_path), CPU, torch.float32)


def test_a_folder_without_a_language_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    with pytest.raises(ModelError, match="not a causal language model"):
        LanguageModel(tmp_path, CPU, torch.float32)


def test_damaged_weights_are_refused(tmp_path: Path, llama_folder: Path) -> None:
    folder = shutil.copytree(llama_folder, tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a causal language model"):
        LanguageModel(folder, CPU, torch.float32)


def test_labels_that_begin_with_one_token_are_refused(llama: LanguageModel) -> None:
    with pytest.raises(ModelError, match="begin with the same token"):
        llama.label_direction((" A", " A"))
