"""What a researcher leaves when it ends, whatever its experiments and its model have written."""

from aar.commons.forum import BODY_BYTES
from aar.mock_api.script import Scenario, say, use
from tests.researchers.brains.claude.conftest import NAME, Stage

METHOD = "def supervise(lab):\n    return {number}\n"
FAILURE = "\x1b[2J method raised ValueError: " + "\N{GRINNING FACE}" * 8_000


def three_long_failures(stage: Stage) -> None:
    stage.campaign.instant = False

    def fails() -> Scenario:
        for number in range(3):
            write = use("files", command="create", path="method.py", file_text=METHOD.format(number=number))
            yield say("", write, use("run_experiment", note=f"try {number}", allow_duplicate=True))
            stage.campaign.finish(f"e{number + 1}", None, FAILURE)
        yield say("All three failed.")

    stage.serve(fails)
    stage.perform()


def test_three_long_failures_are_reported_up_to_the_size_of_a_post(stage: Stage) -> None:
    three_long_failures(stage)
    assert stage.end()["reason"] == "finished"
    note = stage.campaign.forum.posts(author=NAME)[-1]
    body = note.body.text
    assert len(body.encode()) <= BODY_BYTES and body.endswith("[...]") and "\x1b" not in body
    assert note.title.text == f"{NAME} has ended: it saw nothing left to do"


def test_a_researcher_ends_even_if_the_forum_refuses_its_summary(stage: Stage) -> None:
    for lived in range(9):  # the key of its last note is used for something else
        stage.campaign.forum.post("somebody", "insight", "first", key=f"{NAME}/end/finished/{lived}")

    def nothing() -> Scenario:
        yield say("Nothing to do.")

    stage.serve(nothing)
    stage.perform()
    assert stage.end()["reason"] == "finished"
    assert not stage.campaign.forum.posts(author=NAME)
