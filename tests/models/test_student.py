"""Students: alone and side by side they are the same; as bytes and back too."""

import pytest
import safetensors.torch
import torch

from aar.errors import ModelError
from aar.models.inference import label_odds
from aar.models.language_model import HiddenStateCache, LanguageModel
from aar.models.recipe import Form
from aar.models.student import Student, StudentGroup, StudentShape, log_odds, new_weights
from tests.tiny_model import CPU, HIDDEN, LABELS, sentences

TEXTS = sentences(6)


def shape(form: Form = "label_token", last_layers: int | None = 2) -> StudentShape:
    return StudentShape(form, last_layers, 64, LABELS)


def trained(model: LanguageModel, form: Form, seed: int, last_layers: int | None = 2) -> dict[str, torch.Tensor]:
    """Weights with a non-zero update, as after training."""
    generator = torch.Generator().manual_seed(seed)
    fresh = new_weights(model.cut(last_layers), form, 3, seed)
    return {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in fresh.items()}


@torch.no_grad()
def scores(model: LanguageModel, group: StudentGroup, texts: list[str], members: list[int]) -> torch.Tensor:
    prefix = HiddenStateCache(model.cut(group.shape.last_layers), model.encode(texts, 64), CPU)
    states, last = prefix.rows(torch.arange(len(texts)).repeat(len(members)))
    result: torch.Tensor = group(states, last, members)
    return result


@pytest.mark.parametrize("last_layers", [1, 2, None])
def test_an_untrained_student_answers_as_its_base(llama: LanguageModel, last_layers: int | None) -> None:
    fresh = new_weights(llama.cut(last_layers), "label_token", 3, seed=1)
    group = StudentGroup(llama, shape(last_layers=last_layers), [fresh])
    base = torch.from_numpy(label_odds(llama, TEXTS, LABELS, 64))
    torch.testing.assert_close(scores(llama, group, TEXTS, [0])[0], base, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["label_token", "scalar_head"])
def test_students_side_by_side_answer_as_each_alone(llama: LanguageModel, form: Form) -> None:
    weights = [trained(llama, form, seed) for seed in (1, 2, 3)]
    together = scores(llama, StudentGroup(llama, shape(form), weights), TEXTS, [0, 1, 2])
    alone = [scores(llama, StudentGroup(llama, shape(form), [one]), TEXTS, [0])[0] for one in weights]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_members_answer_in_the_order_asked_for(llama: LanguageModel) -> None:
    group = StudentGroup(llama, shape(), [trained(llama, "label_token", seed) for seed in (1, 2, 3)])
    everyone = scores(llama, group, TEXTS, [0, 1, 2])
    torch.testing.assert_close(scores(llama, group, TEXTS, [2, 0]), everyone[[2, 0]], rtol=1e-4, atol=1e-5)


def test_padding_does_not_change_a_score(llama: LanguageModel) -> None:
    group = StudentGroup(llama, shape(), [trained(llama, "label_token", 1)])
    long = " ".join(f"word{number}" for number in range(30))
    padded = scores(llama, group, [TEXTS[0], long], [0])[0, 0]
    torch.testing.assert_close(padded, scores(llama, group, TEXTS[:1], [0])[0, 0], rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_students_and_not_the_base(llama: LanguageModel) -> None:
    group = StudentGroup(llama, shape("scalar_head"), [trained(llama, "scalar_head", seed) for seed in (1, 2)])
    prefix = HiddenStateCache(llama.cut(2), llama.encode(TEXTS, 64), CPU)
    states, last = prefix.rows(torch.arange(6).repeat(2))
    group(states, last, [0, 1])[0].sum().backward()
    for parts in (group.adapters, group.heads):
        first, second = parts
        assert first.grad is not None and first.grad.abs().sum() > 0
        assert second.grad is None or second.grad.abs().sum() == 0
    assert all(parameter.grad is None for parameter in llama.backbone.parameters())


@pytest.mark.parametrize("form", ["label_token", "scalar_head"])
def test_a_group_gives_back_the_weights_it_was_made_of(llama: LanguageModel, form: Form) -> None:
    weights = [trained(llama, form, seed) for seed in (1, 2)]
    shuffled = dict(sorted(weights[1].items(), reverse=True))
    group = StudentGroup(llama, shape(form), [weights[0], shuffled])
    for member, own in enumerate(weights):
        given = group.weights_of(member)
        assert given.keys() == own.keys()
        assert all(torch.equal(given[name], value) for name, value in own.items())


def test_new_weights_are_decided_by_the_seed(llama: LanguageModel) -> None:
    one, same, other = (new_weights(llama.cut(2), "scalar_head", 3, seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head/weight"], other["head/weight"])
    assert one["head/weight"].shape == (HIDDEN,)
    assert "head/weight" not in new_weights(llama.cut(2), "label_token", 3, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("last_layers", [2, None])
def test_a_student_survives_as_bytes(llama: LanguageModel, dtype: torch.dtype, last_layers: int | None) -> None:
    weights = {name: value.to(dtype) for name, value in trained(llama, "scalar_head", 1, last_layers).items()}
    student = Student(StudentShape("scalar_head", last_layers, 64, (' "Ja"', " Ñ\n")), weights)
    again = Student.from_bytes(student.to_bytes())
    assert again.shape == student.shape
    assert again.weights.keys() == weights.keys()
    assert all(torch.equal(again.weights[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    "data",
    [b"", b"not a student", b"\xff" * 64, safetensors.torch.save({"x": torch.zeros(2)})],
    ids=["empty", "text", "noise", "no metadata"],
)
def test_bytes_that_are_not_a_student_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a student"):
        Student.from_bytes(data)


def test_the_odds_of_a_pair_are_a_difference() -> None:
    values = torch.tensor([[1.0, 3.0, 5.0, 2.0]])
    assert log_odds(values, 2).tolist() == [[2.0, -3.0]]
    assert log_odds(values, 1) is values
