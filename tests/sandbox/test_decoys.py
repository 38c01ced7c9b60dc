"""Decoys: they look real, and differ between campaigns."""

import json

from aar.sandbox.decoys import ROWS, canary, decoys, touched


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

