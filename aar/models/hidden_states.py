"""The input of a split model's top layers, for a fixed list of token sequences, computed once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from aar.models.language_model import LayerSplit

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
