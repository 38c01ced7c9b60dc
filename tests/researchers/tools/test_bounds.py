"""Floods: what is too large leaves no trace, and what is small and many meets the account of its author."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aar.budget import Account, StorageQuota
from aar.commons.actor import Commons
from aar.config import CampaignConfig, ResearcherBudget
from aar.errors import BudgetError, QuotaError, ToolError
from aar.researchers.runtime import ResearcherRuntime
from aar.researchers.tools.notes import MOST_ENTRIES, Notes
from aar.researchers.tools.tool import ARGUMENT_BYTES
from tests.researchers.tools.conftest import Bench, nested

MIB = 2**20


def stored_bytes(folder: Path) -> int:
    """Bytes of all files below a researcher's home and of the campaign's databases."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("no_such_tool", {"text": "x" * 8 * MIB}, f"at most {ARGUMENT_BYTES} are allowed"),
        ("bash", {"command": "x" * 8 * MIB}, f"at most {ARGUMENT_BYTES} are allowed"),
        ("t" * 3 * MIB, {}, "a tool's name may have at most 64 characters"),
        ("bash", {"command": nested(100_000)}, "nested too deeply"),
        ("bash", {"command": {1, 2}}, "not plain JSON"),
    ],
    ids=["arguments-of-no-tool", "arguments", "name", "depth", "no-json"],
)
def test_a_call_that_is_too_large_is_refused_briefly_and_leaves_no_trace(
    bench: Bench, tmp_path: Path, tool: str, arguments: Any, text: str
) -> None:
    before = stored_bytes(tmp_path)
    for number in range(3):
        answer = bench.caller.answer(tool, arguments, f"{number}.1")
        assert answer.is_error and text in answer.text and len(answer.text) < 300
    assert stored_bytes(tmp_path) == before and bench.transcript.entries == []


def test_the_text_of_a_refusal_is_bounded(bench: Bench) -> None:
    unknown = {f"{number}-{'x' * 1000}": 1 for number in range(1000)}
    assert len(bench.refuses("bash", **unknown)) < 2000
    assert bench.transcript.size < 2 * MIB


def test_a_status_is_one_short_line(tmp_path: Path, config: CampaignConfig) -> None:
    runtime = ResearcherRuntime(config.researchers[0], config, tmp_path)
    runtime.set_status("uses " + "t" * 3 * MIB)
    assert len(runtime.status) <= 200


def test_the_number_of_notes_is_bounded(bench: Bench) -> None:
    memories = bench.context.paths.notes / "memories"
    refused = 0
    for number in range(700):
        try:
            bench.context.notes.run({"command": "create", "path": f"/memories/n{number}", "file_text": ""})
        except ToolError as error:
            refused += 1
            assert f"of {MOST_ENTRIES} files and folders" in str(error)
    assert len(list(memories.rglob("*"))) == MOST_ENTRIES == 700 - refused
    bench.does("lab_notes", command="delete", path="/memories/n0")
    bench.does("lab_notes", command="create", path="/memories/again", file_text="")


def test_folders_of_notes_count_and_so_do_their_names(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes", Account(StorageQuota(tmp_path), "ada"))
    with pytest.raises(ToolError, match="at most 200 characters"):
        notes.run({"command": "create", "path": "/memories" + "/a" * 2000, "file_text": ""})
    for number in range(20):
        deep = f"/memories/{number}" + "/a" * 90
        try:
            notes.run({"command": "create", "path": deep, "file_text": ""})
        except ToolError as error:
            assert "your notes are full" in str(error)
    assert len(list((tmp_path / "notes").rglob("*"))) <= MOST_ENTRIES + 1


def test_full_notes_can_be_deleted(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes", Account(StorageQuota(tmp_path), "ada"))
    notes.run({"command": "create", "path": "/memories/a", "file_text": "x" * (MIB - 40)})
    with pytest.raises(ToolError, match="your notes are full"):
        notes.run({"command": "create", "path": "/memories/b", "file_text": "x" * 100})
    notes.run({"command": "delete", "path": "/memories/a"})
    notes.run({"command": "create", "path": "/memories/b", "file_text": "x" * 100})


@pytest.fixture
def small(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """A researcher for whom 16 MiB may be kept: a transcript, outputs and snapshots of 1 MiB each."""
    StorageQuota(tmp_path).allow(bench.context.name, 16 * MIB)
    yield bench


def test_long_outputs_meet_the_account_and_are_still_answered(small: Bench, tmp_path: Path) -> None:
    outputs = small.context.shared.folder / "outputs"
    StorageQuota(tmp_path).hold(small.context.name, "shared", "earlier", MIB - 100_000)
    assert "full text in /shared/outputs" in small.does("bash", command="head -c 60000 /dev/zero | tr '\\0' x")
    answer = small.does("bash", command="head -c 60000 /dev/zero | tr '\\0' y")
    assert answer.startswith("yyy") and "not stored: the storage for researcher-1 is full (shared: 1." in answer
    assert len(list(outputs.iterdir())) == 1


def test_checked_out_snapshots_meet_the_account(small: Bench) -> None:
    def publish(number: int) -> str:
        files = {"large": bytes([number]) * 600_000}
        return small.context.client.publish(files, "large", None, key=str(number)).id

    first, second = publish(1), publish(2)
    small.does("store_checkout", snapshot=first)
    assert "shared: 1." in small.refuses("store_checkout", snapshot=second)
    small.does("store_checkout", snapshot=first)


def test_a_full_transcript_ends_its_researcher(small: Bench) -> None:
    with pytest.raises(BudgetError, match=r"for researcher-1 is full \(transcript: 1\.\d MiB of 1\.0 MiB\)"):
        for number in range(100):
            small.caller.answer("no_such_tool", {"text": f"{number}" * 20_000}, f"{number}.1")
    assert small.transcript.size < MIB


def test_the_account_of_a_transcript_survives_a_restart(small: Bench, tmp_path: Path) -> None:
    small.does("bash", command="echo hi")
    folder = small.context.paths.workspace.parent
    on_disk = sum(file.stat().st_size for file in (folder / "transcript.jsonl", *(folder / "texts").iterdir()))
    assert small.transcript.size == on_disk
    small.does("bash", command="head -c 60000 /dev/zero | tr '\\0' x")
    small.does("budget")
    held = StorageQuota(tmp_path).held(small.context.name)["transcript"]
    assert held.entries == 5 and held.bytes > 60_000


def test_posts_votes_and_snapshots_meet_the_account_of_their_author(tmp_path: Path) -> None:
    (tmp_path / "commons").mkdir()
    commons, storage = Commons(str(tmp_path / "commons"), str(tmp_path)), StorageQuota(tmp_path)
    storage.allow("eve", 16 * MIB)
    first = commons.post("ada", "insight", "mine", key="ada/1")
    posted = 0
    with pytest.raises(QuotaError, match=r"for eve is full \(forum: 0\.\d MiB of 0\.1 MiB\)"):
        for number in range(10):
            commons.post("eve", "insight", "flood", "x" * 60_000, key=f"eve/{number}")
            posted += 1
    assert posted == 2 and len(commons.posts(author="eve")) == posted
    commons.post("eve", "insight", "flood", "x" * 60_000, key="eve/1")  # which it was before
    with pytest.raises(QuotaError):
        for number in range(1000):
            commons.vote(first.id, "eve", number % 2, key=f"eve/v{number}")
    with pytest.raises(QuotaError, match="snapshots"):
        for number in range(10):
            commons.publish("eve", {"large": bytes([number]) * 400_000}, "flood", None, key=f"eve/s{number}")
    assert len(commons.log()) == 2
    assert commons.post("ada", "insight", "still here", "x" * 60_000, key="ada/2").author == "ada"


def test_posts_that_the_forum_refuses_are_not_counted(tmp_path: Path) -> None:
    commons = Commons(str(tmp_path), str(tmp_path))
    for number in range(10):
        with pytest.raises(ValueError, match="title has 1000 characters"):
            commons.post("eve", "insight", "t" * 1000, key=f"{number}")
    assert StorageQuota(tmp_path).held("eve")["forum"].entries == 0


def test_the_storage_limit_is_a_setting_and_shown_in_the_budget(
    tmp_path: Path, config: CampaignConfig, bench: Bench
) -> None:
    researcher = config.researchers[0].model_copy(update={"budget": ResearcherBudget(storage_mib=32)})
    runtime = ResearcherRuntime(researcher, config, tmp_path)
    assert runtime.account.describe().endswith("of 32.0 MiB used by researcher-1")
    assert "of 32.0 MiB used by researcher-1" in bench.does("budget")
    assert json.loads(config.model_dump_json())["budget"]["researcher"]["storage_mib"] == 16 * 1024
