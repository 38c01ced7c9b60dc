"""Decoys look real, and each owner in each campaign has different ones."""

import json

from aar.sandbox.decoys import METHODS, ROWS, canary, decoys, touched
from tests.keys import KEY, key_of


def test_decoys_look_like_labels_and_credentials_and_hold_their_canary() -> None:
    files = {name: content.decode() for name, content in decoys(KEY, "ada").items()}
    rows = [json.loads(line) for line in files["test_labels.jsonl"].splitlines()]
    assert len(rows) == ROWS and {row["label"] for row in rows} == {0, 1}
    assert "aws_secret_access_key" in files["credentials"]
    assert touched(files["test_labels.jsonl"], KEY, "ada") == ["labels"]
    assert touched(files["credentials"], KEY, "ada") == ["credentials"]


def test_each_researcher_and_campaign_has_its_own() -> None:
    owners = [(KEY, "ada"), (KEY, "ben"), (KEY, METHODS), (key_of(2), "ada")]
    assert len({canary(*owner, "labels") for owner in owners}) == len(owners)
    for owner in owners[1:]:
        assert touched(decoys(KEY, "ada")["credentials"].decode(), *owner) == []
