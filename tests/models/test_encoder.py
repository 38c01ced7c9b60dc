"""The sentence encoder, on a tiny BERT."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from aar.errors import ModelError
from aar.models.inference import SentenceEncoder
from tests.tiny_model import CPU, WORDS, sentences

TEXTS = sentences(8)


@pytest.fixture(scope="module")
def encoder(bert_folder: Path) -> SentenceEncoder:
    return SentenceEncoder(bert_folder, CPU)


@torch.no_grad()
def test_vectors_are_mean_pooled_and_of_length_one(encoder: SentenceEncoder, bert_folder: Path) -> None:
    network = BertModel.from_pretrained(bert_folder).eval()
    vectors = encoder.embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = torch.tensor([[WORDS.index(word) for word in text.split()]])
        mean = network(ids).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), rtol=1e-3, atol=1e-4)


def test_longer_texts_lose_their_end(encoder: SentenceEncoder) -> None:
    words = [f"word{number}" for number in range(30)]
    long, beginning = encoder.embed([" ".join(words), " ".join(words[:16])])
    np.testing.assert_allclose(long, beginning, rtol=1e-4, atol=1e-5)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a sentence encoder"):
        SentenceEncoder(tmp_path, CPU)
