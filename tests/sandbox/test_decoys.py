"""Decoys: they look real, differ between campaigns, and tell when they were read."""

import json
import os
from pathlib import Path

from aar.sandbox.decoys import ROWS, canary, decoys, read_since, touched, watch


def test_decoys_look_like_labels_and_credentials_and_hold_their_canary() -> None:
    files = {name: content.decode() for name, content in decoys("quickstart").items()}
    rows = [json.loads(line) for line in files["test_labels.jsonl"].splitlines()]
    assert len(rows) == ROWS and {row["label"] for row in rows} == {0, 1}
    assert "aws_secret_access_key" in files["credentials"]
    assert touched(files["test_labels.jsonl"], "quickstart") == ["labels"]
    assert touched(files["credentials"], "quickstart") == ["credentials"]


def test_each_campaign_has_its_own() -> None:
    assert decoys("one") != decoys("other") and canary("one", "labels") != canary("other", "labels")
    assert touched(decoys("one")["credentials"].decode(), "other") == []


def test_a_read_shows_in_the_access_time(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text("x")
    watch(files)
    assert read_since(files) == []
    os.utime(files[0])  # what a read does on a file system that keeps access times
    assert read_since(files) == [files[0]]
