"""The executor turns each kind of request into an array or a student, and keeps only a few models."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from aar.compute import executor as executor_module
from aar.compute.engine import Group
from aar.compute.executor import RequestExecutor
from aar.compute.requests import (
    Average,
    Embed,
    ImportAdapter,
    LabelOdds,
    LogLikelihoods,
    Predict,
    ProbeHead,
    Request,
    TextLosses,
    array_from_bytes,
)
from aar.errors import ModelError, TrainingError
from aar.models.inference import embed, flatten, label_odds, log_likelihoods
from aar.models.language_model import LanguageModel
from aar.models.student import Student
from tests.compute.toy import STORE, TARGETS, TEXTS, N, accuracy, fit, recipe, request, stored, train
from tests.tiny_model import CPU, HIDDEN, LABELS, marked_pairs

PAIRS = marked_pairs(6)[0]
FLAT = flatten(PAIRS)[0]


@pytest.fixture
def students() -> dict[str, bytes]:
    return {}


@pytest.fixture
def loaded() -> list[str]:
    """Keys of the artifacts that the executor has loaded."""
    return []


@pytest.fixture
def executor(alone: Group, students: dict[str, bytes], loaded: list[str]) -> RequestExecutor:
    def artifact(key: str) -> bytes:
        loaded.append(key)
        return (STORE | students)[key]

    return RequestExecutor(CPU, "float32", alone, artifact)


def array(executor: RequestExecutor, question: Request) -> np.ndarray:
    [answer] = executor.execute([question])
    return array_from_bytes(answer)


def test_fine_tuning_gives_the_engines_student(
    executor: RequestExecutor, llama: LanguageModel, llama_folder: Path, alone: Group
) -> None:
    [data] = executor.execute([request(str(llama_folder))])
    [expected] = train(llama, recipe(), [fit(recipe())], alone)
    student = Student.from_bytes(data)
    assert student.shape == expected.shape
    for name, value in expected.weights.items():
        torch.testing.assert_close(student.weights[name], value, rtol=1e-4, atol=1e-4)


def test_requests_with_one_batch_key_are_answered_in_their_order(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes]
) -> None:
    requests = [request(str(llama_folder)), request(str(llama_folder), targets=1 - TARGETS)]
    students.update(zip("ab", executor.execute(requests), strict=True))
    odds = {key: array(executor, Predict(str(llama_folder), stored(TEXTS), key)) for key in students}
    assert odds["a"].shape == (N,)
    assert accuracy(odds["a"]) > 0.9
    assert accuracy(odds["b"]) < 0.1


def test_a_student_continues_from_the_one_that_is_named(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes]
) -> None:
    [students["first"]] = executor.execute([request(str(llama_folder))])
    gentle = recipe(lr=1e-8, epochs=1)
    [students["second"]] = executor.execute([request(str(llama_folder), recipe=gentle, start="first")])
    one, other = (array(executor, Predict(str(llama_folder), stored(TEXTS), key)) for key in ("first", "second"))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_a_head_reads_the_untrained_models_last_state(
    executor: RequestExecutor, llama: LanguageModel, llama_folder: Path, students: dict[str, bytes]
) -> None:
    weight = np.linspace(-1, 1, HIDDEN, dtype=np.float32)
    [students["probe"]] = executor.execute([ProbeHead(str(llama_folder), LABELS, recipe(), weight, 0.5)])
    odds = array(executor, Predict(str(llama_folder), stored(TEXTS), "probe"))
    states = embed(llama, [text for (text,) in TEXTS], -1, 32, "last")
    np.testing.assert_allclose(odds, states @ weight + 0.5, rtol=1e-3, atol=1e-3)
    with pytest.raises(ModelError, match="the head has 3 weights"):
        executor.execute([ProbeHead(str(llama_folder), LABELS, recipe(), weight[:3], 0.0)])


def test_students_are_averaged_weight_by_weight(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes]
) -> None:
    requests = [request(str(llama_folder)), request(str(llama_folder), targets=1 - TARGETS)]
    students.update(zip("ab", executor.execute(requests), strict=True))
    [mean] = executor.execute([Average(str(llama_folder), ("a", "b"), (0.25, 0.75))])
    one, other, found = (Student.from_bytes(data) for data in (students["a"], students["b"], mean))
    assert found.shape == one.shape
    for name, value in found.weights.items():
        torch.testing.assert_close(value, 0.25 * one.weights[name] + 0.75 * other.weights[name])


def test_students_of_different_shapes_cannot_be_averaged(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes]
) -> None:
    [students["a"]] = executor.execute([request(str(llama_folder))])
    [students["b"]] = executor.execute([request(str(llama_folder), recipe=recipe(last_layers=1))])
    with pytest.raises(ModelError, match="only students of one shape"):
        executor.execute([Average(str(llama_folder), ("a", "b"), (0.5, 0.5))])


def test_weights_that_were_trained_elsewhere_become_a_student(
    executor: RequestExecutor, llama: LanguageModel, llama_folder: Path, students: dict[str, bytes], alone: Group
) -> None:
    [trained] = train(llama, recipe(), [fit(recipe())], alone)
    weights = safetensors.torch.save(trained.weights)
    [students["adopted"]] = executor.execute([ImportAdapter(str(llama_folder), LABELS, recipe(), weights)])
    assert Student.from_bytes(students["adopted"]).shape == trained.shape
    assert accuracy(array(executor, Predict(str(llama_folder), stored(TEXTS), "adopted"))) > 0.9
    with pytest.raises(ModelError, match="the adapter has a tensor '2/"):
        executor.execute([ImportAdapter(str(llama_folder), LABELS, recipe(last_layers=1), weights)])


def test_likelihoods_label_odds_and_embeddings_come_per_example_and_text(
    executor: RequestExecutor, llama: LanguageModel, llama_folder: Path
) -> None:
    name = str(llama_folder)
    likelihoods = array(executor, LogLikelihoods(name, stored(PAIRS), 32))
    np.testing.assert_allclose(likelihoods.ravel(), log_likelihoods(llama, FLAT, 32), rtol=1e-4)
    odds = array(executor, LabelOdds(name, stored(PAIRS), LABELS, 32))
    np.testing.assert_allclose(odds.ravel(), label_odds(llama, FLAT, LABELS, 32), rtol=1e-4, atol=1e-4)
    vectors = array(executor, Embed(name, stored(PAIRS), 2, 32))
    assert likelihoods.shape == odds.shape == (6, 2)
    assert vectors.shape == (6, 2, HIDDEN)
    np.testing.assert_allclose(vectors.reshape(12, HIDDEN), embed(llama, FLAT, 2, 32), rtol=1e-4, atol=1e-4)


def test_losses_on_text_come_for_the_base_and_for_a_student(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes]
) -> None:
    texts, name = (("word1 word2",), ("word3 word4 word5",)), str(llama_folder)
    [students["own"]] = executor.execute([request(name)])
    base, own = (array(executor, TextLosses(name, stored(texts), student)) for student in (None, "own"))
    assert base.shape == own.shape == (2,)
    assert np.isfinite(base).all() and not np.allclose(base, own)


def test_without_a_layer_a_sentence_encoder_embeds(executor: RequestExecutor, bert_folder: Path) -> None:
    vectors = array(executor, Embed(str(bert_folder), stored(PAIRS), None, 32))
    assert vectors.shape == (6, 2, HIDDEN)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, rtol=1e-5)


def test_a_model_is_loaded_once_and_the_one_used_longest_ago_makes_room(
    executor: RequestExecutor, llama_folder: Path, bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def counted(name: str) -> Path:
        loaded.append(Path(name).name)
        return Path(name).resolve()

    monkeypatch.setattr(executor_module, "model_folder", counted)
    (tmp_path / "other").symlink_to(llama_folder)
    llama, bert, other = (str(folder) for folder in (llama_folder, bert_folder, tmp_path / "other"))
    likelihoods = LogLikelihoods(llama, stored(PAIRS), 32)
    first = array(executor, likelihoods)
    array(executor, Embed(bert, stored(PAIRS), None, 32))
    array(executor, likelihoods)
    assert loaded == ["llama", "bert"]
    array(executor, LogLikelihoods(other, stored(PAIRS), 32))
    array(executor, likelihoods)
    assert loaded == ["llama", "bert", "other"]
    array(executor, Embed(bert, stored(PAIRS), None, 32))
    array(executor, LogLikelihoods(other, stored(PAIRS), 32))
    np.testing.assert_array_equal(array(executor, likelihoods), first)
    assert loaded == ["llama", "bert", "other", "bert", "other", "llama"]


def test_many_text_lists_do_not_pile_up(
    executor: RequestExecutor, llama_folder: Path, students: dict[str, bytes], loaded: list[str]
) -> None:
    [students["s"]] = executor.execute([request(str(llama_folder))])
    expected = array(executor, Predict(str(llama_folder), stored(TEXTS), "s"))
    rows = [stored(TEXTS[row : row + 1]) for row in range(2 * executor_module.MAX_PREFIXES)]
    for row, texts in enumerate(rows):
        odds = array(executor, Predict(str(llama_folder), texts, "s"))
        np.testing.assert_allclose(odds, expected[row : row + 1], rtol=1e-3, atol=1e-4)
    for texts in [*rows[executor_module.MAX_PREFIXES :], stored(TEXTS)]:
        loaded.clear()
        array(executor, Predict(str(llama_folder), texts, "s"))
        assert (texts.digest in loaded) is (texts == stored(TEXTS))  # only the one used long ago is computed again


def test_texts_are_loaded_once_for_all_requests_that_name_them(
    executor: RequestExecutor, llama_folder: Path, loaded: list[str]
) -> None:
    name = str(llama_folder)
    executor.execute([request(name)])
    executor.execute([request(name, seed=2)])
    array(executor, LogLikelihoods(name, stored(TEXTS), 32))
    array(executor, Embed(name, stored(PAIRS), 2, 32))
    assert loaded == [stored(TEXTS).digest, stored(PAIRS).digest]


def test_texts_that_are_not_stored_are_an_error_of_the_request(alone: Group, llama_folder: Path) -> None:
    def missing(key: str) -> bytes:
        raise TrainingError(f"no texts with key {key}")

    executor = RequestExecutor(CPU, "float32", alone, missing)
    with pytest.raises(TrainingError, match=f"no texts with key {stored(TEXTS).digest}"):
        executor.execute([request(str(llama_folder))])


def test_a_bad_request_is_an_error_and_the_executor_continues(
    executor: RequestExecutor, llama_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no model here"):
        executor.execute([request(str(tmp_path))])
    with pytest.raises(ModelError, match="the model has 4 layers"):
        executor.execute([request(str(llama_folder), recipe=recipe(last_layers=9))])
    with pytest.raises(ModelError, match="no tokens"):
        executor.execute([LogLikelihoods(str(llama_folder), stored((("",),)), 32)])
    with pytest.raises(TrainingError, match="do not know the request Request"):
        executor.execute([Request(str(llama_folder))])
    assert len(executor.execute([request(str(llama_folder))])) == 1


def test_a_model_cannot_be_both_encoder_and_student(
    executor: RequestExecutor, bert_folder: Path, llama_folder: Path
) -> None:
    array(executor, Embed(str(bert_folder), stored(PAIRS), None, 32))
    with pytest.raises(TrainingError, match="in use as a sentence encoder"):
        executor.execute([LogLikelihoods(str(bert_folder), stored(PAIRS), 32)])
    array(executor, LogLikelihoods(str(llama_folder), stored(PAIRS), 32))
    with pytest.raises(TrainingError, match="in use as a language model"):
        executor.execute([Embed(str(llama_folder), stored(PAIRS), None, 32)])
