"""A frozen sentence encoder, the embedded default's weak model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from aar.errors import ModelError
from aar.models.prefix import by_length


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
        """(n, hidden) float32, one vector of length 1 per text; longer texts lose their end."""
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
