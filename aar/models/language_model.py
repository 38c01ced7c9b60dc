"""A frozen causal language model, loaded once and split in two where the trainable layers begin.

The input of the first layer with LoRA does not depend on the student. So the layers below (the *bottom*) run once per
text, and only those above (the *top*) run for every student, seed and epoch: on hidden states that are cached.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from aar.errors import ModelError
from aar.models.lora import LoraLinear, wrap_linears

Precision = Literal["auto", "float32", "bfloat16"]


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of a precision; "auto" is bfloat16 where the hardware supports it, and float32 elsewhere.

    A CPU without bfloat16 instructions emulates them, several times slower than it computes in float32.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    fast_on_cpu = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast_on_cpu else torch.float32


@dataclass(frozen=True)
class LayerSplit:
    """The two halves of a transformer: `bottom` maps token ids to hidden states, `top` maps those to final ones."""

    bottom: Any
    top: Any
    linears: dict[str, LoraLinear]
    hidden_size: int


class LanguageModel:
    """The base of students: tokenizer and frozen network on one device."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Raises ModelError when the folder holds no causal language model that transformers can load."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            network = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, trust_remote_code=False, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder}: not a causal language model that transformers can load: {error}") from None
        if not hasattr(getattr(network, "model", None), "layers"):
            kind = type(network).__name__
            raise ModelError(f"{folder}: {kind} has an unsupported architecture; use one like Llama, Qwen or Mistral")
        self.device, self.dtype = device, dtype
        network = network.to(device).eval().requires_grad_(False)
        self.backbone: Any = network.model
        self.label_rows: Tensor = network.get_output_embeddings().weight
        self.hidden_size: int = self.backbone.config.hidden_size
        self.layers: nn.ModuleList = self.backbone.layers
        self._linears = [wrap_linears(layer) for layer in self.layers]
        self._cuts: dict[int, LayerSplit] = {}

    def encode(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Return token ids of each text without special tokens; a text that is too long is cut at the beginning.

        Raises ModelError for a text without tokens.
        """
        encoded: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False).input_ids
        for text, ids in zip(texts, encoded, strict=True):
            if not ids:
                raise ModelError(f"a text has no tokens: {text!r}")
        return [ids[-max_tokens:] for ids in encoded]

    def label_direction(self, labels: tuple[str, str]) -> Tensor:
        """Return (hidden,) float32 whose product with a final hidden state is the log-odds of label 1 against label 0.

        A label such as " True" counts by its first token. Raises ModelError when both begin with the same one.
        """
        token_0, token_1 = (ids[0] for ids in self.encode(labels, max_tokens=1 << 20))
        if token_0 == token_1:
            raise ModelError(f"the labels {labels[0]!r} and {labels[1]!r} begin with the same token; use other words")
        return (self.label_rows[token_1] - self.label_rows[token_0]).float()

    def cut(self, last_layers: int | None) -> LayerSplit:
        """Split the model into bottom and top, the top with the last `last_layers` layers (None: all).

        Raises ModelError when the model has fewer layers, or does not compute the same when it is split.
        """
        depth = len(self.layers)
        count = depth if last_layers is None else last_layers
        if count > depth:
            raise ModelError(f"last_layers = {count}, but the model has {depth} layers")
        if count not in self._cuts:
            self._cuts[count] = self._make_cut(depth - count)
        return self._cuts[count]

    def train_mode(self, training: bool) -> None:
        """Choose the attention code. On a CPU, eager attention has a faster backward pass than fused attention."""
        kind = "eager" if training and self.device.type == "cpu" else "sdpa"
        for module in (self.backbone, *(half for cut in self._cuts.values() for half in (cut.bottom, cut.top))):
            module.config._attn_implementation = kind

    def _make_cut(self, at: int) -> LayerSplit:
        bottom = self._part(slice(0, at))
        bottom.norm = nn.Identity()
        top = self._part(slice(at, None))
        linears = {
            f"{at + index}/{name}": linear
            for index, layer in enumerate(self._linears[at:])
            for name, linear in layer.items()
        }
        self._check_cut(bottom, top)
        return LayerSplit(bottom, top, linears, self.hidden_size)

    def _part(self, layers: slice) -> Any:
        """Return the same network with some of its layers. Modules and weights are shared, not copied."""
        part = copy.copy(self.backbone)
        part._modules = dict(self.backbone._modules)
        part.layers = self.layers[layers]
        part.config = copy.copy(self.backbone.config)
        part.config.num_hidden_layers = len(part.layers)
        if getattr(part.config, "layer_types", None):
            part.config.layer_types = part.config.layer_types[layers]
        return part

    @torch.no_grad()
    def _check_cut(self, bottom: Any, top: Any) -> None:
        """Check that the halves compute what the whole does: architectures that scale or mix layer inputs would not."""
        ids = torch.arange(1, 9, device=self.device)[None]
        whole = self.backbone(input_ids=ids, use_cache=False).last_hidden_state
        middle = bottom(input_ids=ids, use_cache=False).last_hidden_state
        halves = top(inputs_embeds=middle, use_cache=False).last_hidden_state
        if not torch.allclose(whole, halves, rtol=1e-2, atol=1e-2):
            raise ModelError(f"{type(self.backbone).__name__} cannot be cut between its layers; unset last_layers")


MAX_KEPT_BYTES = 2 << 30
TOKENS_PER_BATCH = 4096


class HiddenStateCache:
    """Hidden states below the top for every token, kept if they fit into memory, otherwise computed for each use."""

    def __init__(self, cut: LayerSplit, tokens: Sequence[Sequence[int]], device: torch.device) -> None:
        self.lengths = torch.tensor([len(ids) for ids in tokens])
        self._cut, self._tokens, self._device = cut, tokens, device
        self._starts = torch.cumsum(self.lengths, 0) - self.lengths
        self._states = self._all_states() if self._worth_keeping() else None

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def kept_bytes(self) -> int:
        """Memory that this cache holds on the device."""
        return 0 if self._states is None else self._states.numel() * self._states.element_size()

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden states of some sequences, padded at the end, and the position of each one's last token.

        Args:
            rows: (r,) int64 sequence numbers.

        Returns:
            (r, longest, hidden) states and (r,) int64 last positions. Attention is causal, so padding changes nothing
            before it.
        """
        lengths = self.lengths[rows]
        last = (lengths - 1).to(self._device)
        if self._states is None:
            return self._run_bottom(rows.tolist()), last
        # Padding repeats a sequence's last state, so that no index leaves its own sequence.
        positions = torch.arange(int(lengths.max()))[None].clamp(max=lengths[:, None] - 1)
        return self._states[(self._starts[rows][:, None] + positions).to(self._device)], last

    def _worth_keeping(self) -> bool:
        size = next(self._cut.top.parameters()).element_size()
        deep_enough = len(self._cut.bottom.layers) > 0
        return deep_enough and int(self.lengths.sum()) * self._cut.hidden_size * size <= MAX_KEPT_BYTES

    @torch.no_grad()
    def _run_bottom(self, rows: Sequence[int]) -> Tensor:
        sequences = [torch.tensor(self._tokens[row]) for row in rows]
        ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True).to(self._device)
        states: Tensor = self._cut.bottom(input_ids=ids, use_cache=False).last_hidden_state
        return states

    def _all_states(self) -> Tensor:
        pieces: list[Tensor | None] = [None] * len(self)
        for rows in by_length(self.lengths):
            for row, states in zip(rows, self._run_bottom(rows), strict=True):
                pieces[row] = states[: int(self.lengths[row])]
        return torch.cat([piece for piece in pieces if piece is not None])


def by_length(lengths: Tensor, tokens_per_batch: int = TOKENS_PER_BATCH) -> list[list[int]]:
    """Return batches of row numbers, similar lengths together, each with at most `tokens_per_batch` tokens or one row.

    Padding counts.
    """
    batches: list[list[int]] = []
    for row in torch.argsort(lengths, descending=True).tolist():
        if batches and int(lengths[batches[-1][0]]) * (len(batches[-1]) + 1) <= tokens_per_batch:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
