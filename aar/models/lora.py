"""LoRA (Hu et al. 2021, arXiv 2106.09685) for several students at once on one frozen base model.

A linear layer of the base is wrapped once. Adapters are handed to the wrappers for the time of a forward pass, stacked
over students: the rows of a batch are grouped by student, the frozen product runs once over all of them, and each
group receives its own low-rank update. Small models spend most of a step outside their matrix products, so that
students trained side by side cost much less than one after the other.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

Adapter = dict[str, Tensor]


class LoraLinear(nn.Module):
    """A frozen linear layer plus, while adapters are attached, `x · down · up` for each student's rows."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.stacks: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(rows, tokens, in) -> (rows, tokens, out); rows are grouped by student, as many for each."""
        y: Tensor = self.frozen(x)
        if self.stacks is None:
            return y
        down, up = self.stacks
        students = down.shape[0]
        low = torch.bmm(x.reshape(students, -1, x.shape[-1]), down)
        return torch.baddbmm(y.reshape(students, -1, y.shape[-1]), low, up).view_as(y)


def wrap_linears(layers: nn.Module) -> dict[str, LoraLinear]:
    """Wrap every linear layer inside `layers` in place; return the wrappers by path, such as `mlp/up_proj`."""
    wrapped: dict[str, LoraLinear] = {}
    for name, module in list(layers.named_modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and not isinstance(module, LoraLinear):
                wrapper = LoraLinear(child)
                setattr(module, child_name, wrapper)
                path = f"{name}.{child_name}".lstrip(".")
                wrapped[path.replace(".", "/")] = wrapper
    return wrapped


def new_adapter(linears: Mapping[str, LoraLinear], rank: int, generator: torch.Generator) -> Adapter:
    """Return fresh float32 weights: `down` uniform in ±1/sqrt(in), `up` zero, so that the student starts as the base.

    The paper's scale alpha / rank is 1 here: under Adam it only rescales the learning rate of `up`.
    """
    adapter: Adapter = {}
    for name, linear in linears.items():
        bound = 1 / math.sqrt(linear.frozen.in_features)
        down = torch.empty(linear.frozen.in_features, rank)
        adapter[f"{name}/down"] = down.uniform_(-bound, bound, generator=generator)
        adapter[f"{name}/up"] = torch.zeros(rank, linear.frozen.out_features)
    return adapter


class adapters_attached:
    """Context in which `linears` compute with adapters. stacks: (students, ...) tensors, named as in `new_adapter`."""

    def __init__(self, linears: Mapping[str, LoraLinear], stacks: Mapping[str, Tensor]) -> None:
        self._linears, self._stacks = linears, stacks

    def __enter__(self) -> None:
        for name, linear in self._linears.items():
            linear.stacks = (self._stacks[f"{name}/down"], self._stacks[f"{name}/up"])

    def __exit__(self, *_: object) -> None:
        for linear in self._linears.values():
            linear.stacks = None
