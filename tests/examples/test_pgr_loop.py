"""The plain loop, on tiny models and a task of whole words."""

import json
import runpy
from pathlib import Path

import pytest

from tests.tiny_model import bert_folder, llama_folder, marked_pairs

__all__ = ["bert_folder", "llama_folder"]

LOOP = Path(__file__).parents[2] / "examples" / "pgr_loop.py"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for seed, (split, size) in enumerate({"train_label": 24, "train_unlabel": 160, "test": 120}.items()):
        texts, labels = marked_pairs(size, seed=seed)
        rows = [
            {"prompt": "", "first": first, "second": second, "label": "AB"[label]}
            for (first, second), label in zip(texts, labels, strict=True)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_plain_loop_trains_a_ceiling_above_its_teacher_and_tells_the_gap(
    data: Path, bert_folder: Path, llama_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = runpy.run_path(str(LOOP))
    pgr = loop["main"](str(data), str(bert_folder), str(llama_folder), lr=0.02, epochs=8)
    words = capsys.readouterr().out.split()
    teacher, student, ceiling, told = (float(words[at]) for at in (1, 3, 5, 7))
    assert teacher < ceiling > 0.9 and student > 0.5
    assert pgr == pytest.approx((student - teacher) / (ceiling - teacher), abs=0.05)
    assert told == pytest.approx(pgr, abs=0.006)


def test_it_can_be_read_in_one_go() -> None:
    assert len(LOOP.read_text().splitlines()) <= 150
