"""The hidden states below the cut: kept or computed when asked for, they are the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aar.models import language_model
from aar.models.language_model import HiddenStateCache, LanguageModel, by_length
from tests.tiny_model import CPU, HIDDEN, sentences

ROWS = torch.tensor([4, 0, 7, 4])


@pytest.fixture
def tokens(llama: LanguageModel) -> list[list[int]]:
    return llama.encode(sentences(12), 64)


def test_kept_states_equal_those_computed_when_asked_for(
    llama: LanguageModel, tokens: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = HiddenStateCache(llama.cut(2), tokens, CPU)
    monkeypatch.setattr(language_model, "MAX_KEPT_BYTES", 0)
    recomputed = HiddenStateCache(llama.cut(2), tokens, CPU)
    assert kept.kept_bytes == sum(map(len, tokens)) * HIDDEN * 4
    assert recomputed.kept_bytes == 0
    (one, last), (two, same_last) = kept.rows(ROWS), recomputed.rows(ROWS)
    assert torch.equal(last, same_last)
    for row, end in enumerate(last.tolist()):
        torch.testing.assert_close(one[row, : end + 1], two[row, : end + 1], rtol=1e-5, atol=1e-5)


def test_states_are_those_of_each_text_alone(llama: LanguageModel, tokens: list[list[int]]) -> None:
    cut = llama.cut(1)
    states, last = HiddenStateCache(cut, tokens, CPU).rows(ROWS)
    for row, number in enumerate(ROWS.tolist()):
        with torch.no_grad():
            alone = cut.bottom(input_ids=torch.tensor([tokens[number]]), use_cache=False).last_hidden_state[0]
        assert int(last[row]) == len(tokens[number]) - 1
        torch.testing.assert_close(states[row, : len(alone)], alone, rtol=1e-5, atol=1e-5)


def test_embeddings_alone_are_not_worth_keeping(llama: LanguageModel, tokens: list[list[int]]) -> None:
    assert HiddenStateCache(llama.cut(None), tokens, CPU).kept_bytes == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 120))
def test_batches_by_length_hold_every_row_once_and_fit(lengths: list[int], limit: int) -> None:
    batches = by_length(torch.tensor(lengths), limit)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= limit
