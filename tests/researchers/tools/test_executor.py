"""One call has one effect, whatever dies in between."""

import re
from pathlib import Path

import pytest

from aar.errors import CampaignError
from aar.logs import SafeFormatter
from aar.researchers.tools import label
from aar.researchers.tools.executor import ToolExecutor
from aar.researchers.transcript import Transcript
from tests.researchers.tools.conftest import Bench, nested


def resumed(bench: Bench) -> ToolExecutor:
    """The executor of a process that resumes after a kill."""
    bench.transcript.close()
    bench.transcript = Transcript(bench.context.paths.workspace.parent)
    return ToolExecutor(bench.context, bench.transcript)


def forget_the_end(bench: Bench) -> None:
    """As if the process had been killed after a call took effect and before its result was written."""
    path = bench.context.paths.workspace.parent / "transcript.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def test_a_completed_call_is_answered_again_and_not_repeated(bench: Bench) -> None:
    first = bench.caller.answer("bash", {"command": "echo x >>log; wc -l <log"}, "1.1")
    again = resumed(bench).answer("bash", {"command": "echo x >>log; wc -l <log"}, "1.1")
    assert first == again and first.text == "1"
    assert (bench.context.paths.workspace / "log").read_text() == "x\n"


def test_an_interrupted_command_is_not_repeated_and_the_researcher_is_warned(bench: Bench) -> None:
    bench.caller.answer("bash", {"command": "echo x >>log"}, "1.1")
    forget_the_end(bench)
    answer = resumed(bench).answer("bash", {"command": "echo x >>log"}, "1.1")
    assert answer.is_error and "may have happened" in answer.text
    assert (bench.context.paths.workspace / "log").read_text() == "x\n"


def test_an_interrupted_post_is_made_once(bench: Bench) -> None:
    arguments = {"kind": "insight", "title": "Once"}
    first = bench.caller.answer("forum_post", arguments, "1.1")
    forget_the_end(bench)
    assert resumed(bench).answer("forum_post", arguments, "1.1") == first
    assert len(bench.campaign.forum.posts()) == 1


def test_an_interrupted_experiment_is_started_once(bench: Bench) -> None:
    bench.writes_method()
    first = bench.caller.answer("run_experiment", {"note": "once"}, "1.1")
    forget_the_end(bench)
    assert resumed(bench).answer("run_experiment", {"note": "once"}, "1.1") == first
    assert len(bench.campaign.started) == 1
    assert bench.context.spend.spent().resources.experiments == 1


def test_characters_that_json_cannot_carry_are_replaced(bench: Bench, tmp_path: Path) -> None:
    answer = bench.does("bash", command="printf 'a\\x00b\\xff'")
    assert answer.startswith("a") and "\0" not in answer


HOSTILE_CALLS = {
    "arguments nested deeper than JSON is written": ("bash", {"command": nested(100_000)}),
    "arguments nested deeper than Python goes": ("bash", nested(950)),
    "half a surrogate pair in a long text": ("bash", {"command": "\ud800" * 10_000}),
    "half a surrogate pair in a short text": ("bash", {"command": "echo '\ud800'"}),
    "half a surrogate pair in a file": ("files", {"command": "create", "path": "\ud800", "file_text": "\udfff"}),
    "half a surrogate pair in a query": ("forum_read", {"query": "\ud800"}),
    "half a surrogate pair in a snapshot's name": ("store_checkout", {"snapshot": "\ud800"}),
    "half a surrogate pair in an author's name": ("forum_read", {"author": "\ud800"}),
    "half a surrogate pair in a message": ("store_publish", {"files": ["method.py"], "message": "\ud800"}),
    "half a surrogate pair in a path": ("quick_check", {"method": "\ud800"}),
    "NUL in a path": ("quick_check", {"method": "a\0b"}),
    "a number beyond every column": ("forum_read", {"post": 10**400}),
    "a vote on a number beyond every column": ("vote", {"post": 10**400, "value": 1}),
    "a reply to a number beyond every column": ("forum_reply", {"post": 10**400, "title": "?"}),
    "an infinite time": ("bash", {"command": "echo", "seconds": float("nan")}),
}


@pytest.mark.parametrize("call", HOSTILE_CALLS.values(), ids=HOSTILE_CALLS)
def test_a_hostile_call_is_answered_and_the_researcher_continues(bench: Bench, call: tuple[str, object]) -> None:
    bench.writes_method()
    tool, arguments = call
    answer = bench.caller.answer(tool, arguments, "1.1")
    assert len(answer.text) < 20_000 and answer.text.encode()
    assert bench.does("bash", command="echo fine") == "fine"
    entries = len(bench.transcript.entries)
    resumed(bench)
    assert len(bench.transcript.entries) == entries


def test_the_loss_of_a_platform_process_is_raised_and_not_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise CampaignError("a process of the campaign is gone")

    monkeypatch.setattr(bench.context.client, "experiments", gone)
    with pytest.raises(CampaignError):
        bench.call("experiment", action="list")


def test_each_call_is_one_line_in_the_log_with_its_key_and_seconds(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    made_up = "bash\n\x1b[2J" + "x" * 50
    with caplog.at_level("INFO", logger="aar.researchers.tools.executor"):
        bench.caller.answer("bash", {"command": "echo secret-of-its-own"}, "1.1")
        bench.caller.answer(made_up, {}, "1.2")
        bench.caller.answer("bash", {"command": "x" * 3_000_000}, "1.3")
    lines = [SafeFormatter().format(record).partition("executor: ")[2] for record in caplog.records]
    assert re.fullmatch(rf"bash {bench.context.name}/1\.1: answered after \d+\.\d s", lines[0])
    assert re.fullmatch(rf"bash <U\+001B>\[2Jx+ {bench.context.name}/1\.2: refused after \d+\.\d s", lines[1])
    assert re.fullmatch(rf"a call {bench.context.name}/1\.3: refused after 0\.0 s", lines[2]) and len(lines) == 3
    assert "secret-of-its-own" not in caplog.text and len(caplog.text) < 1000


def test_a_tool_name_made_up_by_a_model_is_not_a_metric_label() -> None:
    assert (label("bash"), label("bash; rm -rf /")) == ("bash", "unknown")
