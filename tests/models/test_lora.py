"""LoRA: several students' low-rank updates on one frozen layer."""

import pytest
import torch
from torch import nn

from aar.models.lora import LoraLinear, adapters_attached, new_adapter, wrap_linears


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 3, bias=False)))


def random_stacks(linears: dict[str, LoraLinear], students: int) -> dict[str, torch.Tensor]:
    """Random weights of several students, stacked."""
    adapter = new_adapter(linears, 2, torch.Generator())
    return {name: torch.randn(students, *value.shape) for name, value in adapter.items()}


def test_every_linear_layer_is_wrapped_under_its_path() -> None:
    model = network()
    x = torch.randn(2, 5, 6)
    before = model(x)
    assert list(wrap_linears(model)) == ["0", "2/0"]
    torch.testing.assert_close(model(x), before)


def test_each_group_of_rows_receives_its_own_students_update() -> None:
    linear = LoraLinear(nn.Linear(6, 4))
    stacks = random_stacks({"l": linear}, students=2)
    x = torch.randn(4, 5, 6)
    with adapters_attached({"l": linear}, stacks):
        y = linear(x)
    for student, rows in enumerate((slice(0, 2), slice(2, 4))):
        expected = linear.frozen(x[rows]) + x[rows] @ stacks["l/down"][student] @ stacks["l/up"][student]
        torch.testing.assert_close(y[rows], expected)


def test_a_fresh_adapter_changes_nothing() -> None:
    linears = {"l": LoraLinear(nn.Linear(6, 4))}
    x = torch.randn(2, 5, 6)
    fresh = new_adapter(linears, 2, torch.Generator().manual_seed(0))
    with adapters_attached(linears, {name: value[None] for name, value in fresh.items()}):
        torch.testing.assert_close(linears["l"](x), linears["l"].frozen(x))


def test_a_fresh_adapter_is_decided_by_its_generator() -> None:
    linears = {"l": LoraLinear(nn.Linear(6, 4))}
    one, same, other = (new_adapter(linears, 2, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one["l/down"], same["l/down"])
    assert not torch.equal(one["l/down"], other["l/down"])
    assert one["l/down"].shape == (6, 2)
    assert one["l/down"].abs().max() <= 6**-0.5


def test_adapters_are_detached_even_after_an_error() -> None:
    linears = {"l": LoraLinear(nn.Linear(6, 4))}
    with pytest.raises(RuntimeError), adapters_attached(linears, random_stacks(linears, students=1)):
        linears["l"](torch.randn(2, 5, 7))
    x = torch.randn(2, 5, 6)
    assert torch.equal(linears["l"](x), linears["l"].frozen(x))
