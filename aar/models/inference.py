"""Inference with a base model, a student or a sentence encoder: class odds, likelihoods, label odds, embeddings."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from aar.errors import ModelError
from aar.models.language_model import HiddenStateCache, LanguageModel, by_length
from aar.models.recipe import Pooling, Texts
from aar.models.student import Student, StudentGroup, log_odds


def flatten(texts: Texts) -> tuple[list[str], int]:
    """Return all texts in one list, and their number per example. Raises ModelError unless all have one, or all two."""
    counts = {len(example) for example in texts}
    if counts not in ({1}, {2}):
        raise ModelError(f"examples must all have one text or all have two; these have {sorted(counts) or 'none'}")
    return [text for example in texts for text in example], counts.pop()


@torch.no_grad()
def predict(model: LanguageModel, student: Student, prefix: HiddenStateCache, texts_per_example: int) -> np.ndarray:
    """Return (n,) float32 log-odds of class 1 for the examples whose sequences are in `prefix`."""
    group = _group(model, student)
    model.train_mode(False)
    scores = torch.empty(len(prefix))
    for rows in by_length(prefix.lengths):
        states, last = prefix.rows(torch.tensor(rows))
        scores[rows] = group(states, last, [0])[0].cpu()
    return log_odds(scores, texts_per_example).numpy()


@torch.no_grad()
def log_likelihoods(model: LanguageModel, texts: Sequence[str], max_tokens: int) -> np.ndarray:
    """Return (n,) float32 sums over tokens of log p(token | those before it), by the untrained model.

    A start token is put before each text, so that its first word counts too.
    """
    start = model.tokenizer.bos_token_id
    prefix = [model.tokenizer.eos_token_id if start is None else start]
    tokens = [prefix + ids for ids in model.encode(texts, max_tokens - 1)]
    sums = torch.empty(len(tokens))
    for rows, ids, mask in _padded_batches(model, tokens):
        hidden = model.backbone(input_ids=ids, use_cache=False).last_hidden_state
        picked = token_log_probabilities(hidden[:, :-1], ids[:, 1:], model.label_rows)
        sums[rows] = (picked * mask[:, 1:]).sum(1).cpu()
    return sums.numpy()


@torch.no_grad()
def text_losses(model: LanguageModel, texts: Sequence[str], student: Student | None) -> np.ndarray:
    """Return (n,) float32 means over tokens, without the first, of -log p(token | those before it), in nats.

    They are those of the untrained model, or of a student: the language model with its adapter.
    """
    tokens = model.encode(texts, max_tokens=1 << 20)
    losses = torch.empty(len(tokens))
    with nullcontext() if student is None else _group(model, student).activated([0]):
        for rows, ids, mask in _padded_batches(model, tokens):
            hidden = model.backbone(input_ids=ids, use_cache=False).last_hidden_state
            picked = token_log_probabilities(hidden[:, :-1], ids[:, 1:], model.label_rows) * mask[:, 1:]
            losses[rows] = (-picked.sum(1) / mask[:, 1:].sum(1).clamp(min=1)).cpu()
    return losses.numpy()


def _group(model: LanguageModel, student: Student) -> StudentGroup:
    weights = {name: tensor.to(model.device, model.dtype) for name, tensor in student.weights.items()}
    return StudentGroup(model, student.shape, [weights]).eval()


@torch.no_grad()
def label_odds(model: LanguageModel, texts: Sequence[str], labels: tuple[str, str], max_tokens: int) -> np.ndarray:
    """Return (n,) float32 log-odds of label 1 against label 0 as the next token, by the untrained model."""
    direction = model.label_direction(labels)
    tokens = model.encode(texts, max_tokens)
    odds = torch.empty(len(tokens))
    for rows, ids, mask in _padded_batches(model, tokens):
        hidden = model.backbone(input_ids=ids, use_cache=False).last_hidden_state
        final = hidden[torch.arange(len(rows), device=ids.device), mask.sum(1).long() - 1]
        odds[rows] = (final.float() @ direction).cpu()
    return odds.numpy()


@torch.no_grad()
def embed(
    model: LanguageModel, texts: Sequence[str], layer: float | Sequence[float], max_tokens: int, pool: Pooling = "mean"
) -> np.ndarray:
    """Return (n, hidden) float32 hidden states after `layer`, or (n, m, hidden) for a sequence of m layers.

    Args:
        layer: 0 is the embeddings; negative numbers count from the end; a fraction above 0 and below 1 is a share of
            all layers.
        pool: the mean over a text's tokens, or the state at its last token.

    Raises:
        ModelError: the model has no such layer.
    """
    numbers = [_layer_number(model, one) for one in (layer if isinstance(layer, Sequence) else [layer])]
    highest, depth = max(numbers), len(model.layers)
    network = model.backbone if highest == depth else model.cut(depth - highest).bottom
    tokens = model.encode(texts, max_tokens)
    states = torch.empty(len(tokens), len(numbers), model.hidden_size)
    for rows, ids, mask in _padded_batches(model, tokens):
        output = network(input_ids=ids, use_cache=False, output_hidden_states=len(set(numbers)) > 1)
        for place, number in enumerate(numbers):
            hidden = output.last_hidden_state if number == highest else output.hidden_states[number]
            states[rows, place] = _pooled(hidden.float(), mask, pool).cpu()
    return (states if isinstance(layer, Sequence) else states[:, 0]).numpy()


def _layer_number(model: LanguageModel, layer: float) -> int:
    depth = len(model.layers)
    if 0 < layer < 1:
        return round(layer * depth)
    if not -depth - 1 <= layer <= depth:
        raise ModelError(f"layer = {layer}, but the model has layers {-depth - 1} to {depth}")
    return int(layer) % (depth + 1)


def _pooled(hidden: Tensor, mask: Tensor, pool: Pooling) -> Tensor:
    """(rows, tokens, hidden) -> (rows, hidden)."""
    if pool == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1).long() - 1]
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _padded_batches(
    model: LanguageModel, tokens: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield batches: row numbers, padded token ids (rows, longest), float mask of the real tokens."""
    model.train_mode(False)
    for rows in by_length(torch.tensor([len(ids) for ids in tokens])):
        sequences = [torch.tensor(tokens[row]) for row in rows]
        ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True).to(model.device)
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).float().to(model.device)
        yield rows, ids, mask


def token_log_probabilities(hidden: Tensor, ids: Tensor, vocabulary: Tensor, chunk: int = 512) -> Tensor:
    """Return (rows, tokens) log-probabilities of `ids`. Logits are large, so they are computed in chunks of tokens."""
    flat, targets = hidden.reshape(-1, hidden.shape[-1]), ids.reshape(-1)
    pieces = []
    for at in range(0, len(flat), chunk):
        logits = (flat[at : at + chunk] @ vocabulary.T).float()
        chosen = logits.gather(1, targets[at : at + chunk, None])[:, 0]
        pieces.append(chosen - logits.logsumexp(1))
    return torch.cat(pieces).view(ids.shape)


class SentenceEncoder:
    """A bidirectional encoder with mean pooling over tokens (Reimers & Gurevych 2019, arXiv 1908.10084)."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Raises ModelError when the folder holds no encoder that transformers can load."""
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            network = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder}: not a sentence encoder that transformers can load: {error}") from None
        self._network, self._device = network.to(device).eval().requires_grad_(False), device

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, hidden) float32, one unit vector per text; texts that are too long are cut at the end."""
        limit = self._network.config.max_position_embeddings
        tokens = self._tokenizer(list(texts), truncation=True, max_length=limit).input_ids
        vectors = torch.empty(len(tokens), self._network.config.hidden_size)
        for rows in by_length(torch.tensor([len(ids) for ids in tokens])):
            padded = self._tokenizer.pad({"input_ids": [tokens[row] for row in rows]}, return_tensors="pt")
            padded = padded.to(self._device)
            hidden = self._network(**padded).last_hidden_state
            mask = padded["attention_mask"][..., None].float()
            vectors[rows] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).cpu()
        return vectors.numpy()
