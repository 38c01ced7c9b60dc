"""Inference against the plain way: one text at a time through the whole model of transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from aar.errors import ModelError
from aar.models import inference
from aar.models.inference import embed, flatten, label_odds, log_likelihoods, predict, text_losses
from aar.models.language_model import HiddenStateCache, LanguageModel
from aar.models.student import Student, StudentGroup, StudentShape, new_weights
from tests.tiny_model import CPU, DEPTH, LABELS, WORDS, sentences

TEXTS = sentences(10)


@pytest.fixture(scope="module")
def plain(llama_folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(llama_folder).eval()


def ids_of(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


@torch.no_grad()
def one_token_after_the_other(network: Any, start: int, ids: list[int]) -> float:
    total, context = 0.0, [start]
    for token in ids:
        total += float(network(torch.tensor([context])).logits[0, -1].log_softmax(0)[token])
        context.append(token)
    return total


def test_likelihoods_equal_those_of_one_token_after_the_other(llama: LanguageModel, plain: Any) -> None:
    expected = [one_token_after_the_other(plain, WORDS.index("<s>"), ids_of(text)) for text in TEXTS]
    np.testing.assert_allclose(log_likelihoods(llama, TEXTS, 64), expected, rtol=1e-4)


def test_likelihoods_of_a_model_without_a_start_token_begin_with_its_end_token(qwen_folder: Path) -> None:
    model = LanguageModel(qwen_folder, CPU, torch.float32)
    network = AutoModelForCausalLM.from_pretrained(qwen_folder).eval()
    expected = [one_token_after_the_other(network, WORDS.index("</s>"), ids_of(text)) for text in TEXTS[:3]]
    np.testing.assert_allclose(log_likelihoods(model, TEXTS[:3], 64), expected, rtol=1e-4)


def test_losses_per_token_equal_those_of_one_token_after_the_other(llama: LanguageModel, plain: Any) -> None:
    texts = [text for text in TEXTS if len(text.split()) > 1]
    ids = [ids_of(text) for text in texts]
    expected = [-one_token_after_the_other(plain, one[0], one[1:]) / (len(one) - 1) for one in ids]
    np.testing.assert_allclose(text_losses(llama, texts, None), expected, rtol=1e-4)


def test_a_student_that_was_not_trained_has_the_losses_of_its_base_and_a_trained_one_others(
    llama: LanguageModel,
) -> None:
    shape = StudentShape("scalar_head", 2, 64, LABELS)
    fresh = new_weights(llama.cut(2), "scalar_head", 4, seed=1)
    base = text_losses(llama, TEXTS, None)
    np.testing.assert_allclose(text_losses(llama, TEXTS, Student(shape, fresh)), base, rtol=1e-5)
    changed = {name: tensor + 0.3 if name.endswith("/up") else tensor for name, tensor in fresh.items()}
    assert np.abs(text_losses(llama, TEXTS, Student(shape, changed)) - base).max() > 0.05
    np.testing.assert_allclose(text_losses(llama, TEXTS, None), base)  # the adapter is taken off again


def test_likelihoods_do_not_depend_on_how_many_logits_are_made_at_once(llama: LanguageModel) -> None:
    hidden, ids = torch.randn(3, 5, 32), torch.randint(0, len(WORDS), (3, 5))
    few, all_at_once = (inference.token_log_probabilities(hidden, ids, llama.label_rows, chunk) for chunk in (2, 1000))
    torch.testing.assert_close(few, all_at_once)


@torch.no_grad()
def test_label_odds_are_a_difference_of_logits(llama: LanguageModel, plain: Any) -> None:
    logits = [plain(torch.tensor([ids_of(text)])).logits[0, -1] for text in TEXTS]
    expected = [float(row[WORDS.index("B")] - row[WORDS.index("A")]) for row in logits]
    np.testing.assert_allclose(label_odds(llama, TEXTS, LABELS, 64), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, DEPTH - 1, DEPTH])
@torch.no_grad()
def test_embeddings_are_means_over_tokens(llama: LanguageModel, plain: Any, layer: int) -> None:
    states = [plain(torch.tensor([ids_of(text)]), output_hidden_states=True).hidden_states for text in TEXTS]
    expected = torch.stack([one[layer][0].mean(0) for one in states])
    np.testing.assert_allclose(embed(llama, TEXTS, layer, 64), expected, rtol=1e-3, atol=1e-4)


def test_layers_count_from_the_end_too(llama: LanguageModel) -> None:
    np.testing.assert_array_equal(embed(llama, TEXTS, -1, 64), embed(llama, TEXTS, DEPTH, 64))
    np.testing.assert_array_equal(embed(llama, TEXTS, -DEPTH - 1, 64), embed(llama, TEXTS, 0, 64))


@pytest.mark.parametrize("layer", [0, 2, DEPTH])
@torch.no_grad()
def test_the_last_tokens_state_can_be_asked_for(llama: LanguageModel, plain: Any, layer: int) -> None:
    states = [plain(torch.tensor([ids_of(text)]), output_hidden_states=True).hidden_states for text in TEXTS]
    expected = torch.stack([one[layer][0, -1] for one in states])
    np.testing.assert_allclose(embed(llama, TEXTS, layer, 64, "last"), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("pool", ["mean", "last"])
@pytest.mark.parametrize("layers", [(2, 0, 1), (DEPTH, 1), (0.5, 0.5), (3,)])
def test_several_layers_are_each_as_if_asked_for_alone(llama: LanguageModel, layers: Any, pool: Any) -> None:
    together = embed(llama, TEXTS, layers, 64, pool)
    alone = np.stack([embed(llama, TEXTS, layer, 64, pool) for layer in layers], axis=1)
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_a_fraction_is_a_share_of_the_depth(llama: LanguageModel) -> None:
    np.testing.assert_array_equal(embed(llama, TEXTS, 0.5, 64), embed(llama, TEXTS, DEPTH // 2, 64))


@pytest.mark.parametrize("layer", [DEPTH + 1, -DEPTH - 2])
def test_a_layer_that_is_not_there_is_refused(llama: LanguageModel, layer: int) -> None:
    with pytest.raises(ModelError, match=f"layer = {layer}, but the model has layers -5 to 4"):
        embed(llama, TEXTS, layer, 64)


def test_only_the_end_of_a_long_text_is_read(llama: LanguageModel) -> None:
    long = [" ".join(f"word{number}" for number in range(30))]
    end = [" ".join(f"word{number}" for number in range(22, 30))]
    np.testing.assert_allclose(embed(llama, long, 2, 8), embed(llama, end, 2, 8), rtol=1e-5)
    np.testing.assert_allclose(label_odds(llama, long, LABELS, 8), label_odds(llama, end, LABELS, 8), rtol=1e-5)


def test_batches_do_not_change_answers(llama: LanguageModel) -> None:
    alone = np.concatenate([label_odds(llama, [text], LABELS, 64) for text in TEXTS])
    np.testing.assert_allclose(label_odds(llama, TEXTS, LABELS, 64), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("texts_per_example", [1, 2])
@torch.no_grad()
def test_predictions_are_a_students_odds_in_the_order_of_the_texts(
    llama: LanguageModel, texts_per_example: int
) -> None:
    weights = {name: value + 0.1 for name, value in new_weights(llama.cut(2), "scalar_head", 2, 0).items()}
    student = Student(StudentShape("scalar_head", 2, 64, LABELS), weights)
    prefix = HiddenStateCache(llama.cut(2), llama.encode(TEXTS, 64), CPU)
    group = StudentGroup(llama, student.shape, [weights])
    alone = np.array([float(group(*prefix.rows(torch.tensor([row])), [0])) for row in range(len(TEXTS))])
    expected = alone if texts_per_example == 1 else alone[1::2] - alone[::2]
    np.testing.assert_allclose(predict(llama, student, prefix, texts_per_example), expected, rtol=1e-4, atol=1e-5)


def test_a_bfloat16_model_takes_float32_students(llama_folder: Path) -> None:
    model = LanguageModel(llama_folder, CPU, torch.bfloat16)
    student = Student(StudentShape("label_token", 2, 64, LABELS), new_weights(model.cut(2), "label_token", 2, 0))
    odds = predict(model, student, HiddenStateCache(model.cut(2), model.encode(TEXTS, 64), CPU), 1)
    np.testing.assert_allclose(odds, label_odds(model, TEXTS, LABELS, 64), atol=0.1)


def test_texts_are_flattened_with_their_number_per_example() -> None:
    assert flatten([("a", "b"), ("c", "d")]) == (["a", "b", "c", "d"], 2)
    assert flatten([("a",), ("b",)]) == (["a", "b"], 1)


@pytest.mark.parametrize("texts", [[("a",), ("b", "c")], [("a", "b", "c")], []])
def test_examples_with_different_numbers_of_texts_are_refused(texts: list[tuple[str, ...]]) -> None:
    with pytest.raises(ModelError, match="all have one text or all have two"):
        flatten(texts)
