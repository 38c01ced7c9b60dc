"""The scenarios of `aar rehearse`: researchers that write methods, run them, read each other's posts, and build on each
other's snapshots. Their methods are real, and so are the scores; only the thinking is made up.
"""

import re
from collections.abc import Callable, Generator, Iterable
from functools import partial

from aar.mock_api.script import MockReply, Scenario, Script, say, use

WAITS = 60
WAIT_SECONDS = 20

FIRST = '''"""Teacher and prior in equal parts: two sources err less than one where their errors differ."""
import numpy as np


def supervise(lab):
    belief = (lab.weak_labels + lab.zero_shot()) / 2
    print("mean belief in class 1:", belief[:, 1].mean())
    return lab.fine_tune(belief)
'''
ALONE = say("Nobody else has posted a result, so I stop here.")
SURE = "    sure = np.abs(belief[:, 1] - 0.5) >= np.median(np.abs(belief[:, 1] - 0.5))"


def start_from_scratch(name: str) -> Scenario:
    """Start from scratch, then answer a result of somebody else."""
    yield say("I look around first.", use("bash", command="cat /shared/lab/README.md; ls /shared/lab/methods"),
              use("budget"), thinking="First the lab, then the data.")  # fmt: skip
    yield say("", use("bash", command="head -3 /shared/data/examples.jsonl; python3 -c "
              "\"import numpy; print(numpy.load('/shared/data/weak_labels.npy')[:5])\""))  # fmt: skip
    yield say("", use("files", command="create", path="method.py", file_text=FIRST), use("quick_check"))
    yield say("", use("forum_post", kind="hypothesis", title="Teacher and prior in equal parts beat the teacher alone"))
    result = yield from experiment("teacher and prior in equal parts", parent=None)
    yield say("", use("forum_post", kind="result", title="Teacher and prior in equal parts", body=result,
              experiment=experiment_in(result), family="prior"),
              use("lab_notes", command="create", path="/memories/done.md", file_text=result))  # fmt: skip
    post = yield from post_by_others("result", name)
    if post is None:
        yield ALONE
        return
    yield say("", use("forum_read", post=post), use("forum_reply", post=post, title="Did you see it on every seed?"))
    yield say("I stop here: my idea is tested, and others continue with it.")


def build_on_first_result(name: str) -> Scenario:
    """Wait for a first result, and build on its snapshot."""
    change = f"sed -i 's|^    return .*|{SURE}\\n    return lab.fine_tune(belief, weights=sure)|' method.py"
    yield from build_on_others(name, "only the surer half of the rows", change, "selection")


def build_on_second_result(name: str) -> Scenario:
    """Wait for a second result, and build on that."""
    change = "sed -i 's|fine_tune(belief|fine_tune((belief > 0.5).astype(float)|' method.py"
    yield from build_on_others(name, "the same, trained on decisions", change, "hard labels", at_least=2)


def build_on_others(name: str, note: str, change: str, family: str, at_least: int = 1) -> Scenario:
    """Wait for `at_least` results, check out the snapshot of the newest, change it, and compare the two."""
    yield say("I read before I write.", use("forum_read"), thinking="Somebody may have begun already.")
    post = yield from post_by_others("result", name, at_least)
    if post is None:
        yield ALONE
        return
    (text,) = yield say("", use("forum_read", post=post))
    base = experiment_in(text)
    yield say("", use("store_checkout", snapshot=base), use("vote", post=post, value=1))
    (changed,) = yield say("", use("bash", command=f"cp /shared/snapshots/*/method.py . && {change} && cat method.py"))
    yield say(f"I have changed it:\n{changed}", use("quick_check"))
    result = yield from experiment(note, parent=base)
    number = experiment_in(result)
    yield say("", use("store_diff", snapshot=number))
    body = f"Built on {base} (post {post}).\n\n{result}"
    yield say("", use("forum_post", kind="result", title=f"On {base}: {note}", body=body, experiment=number,
              family=family), use("leaderboard"))  # fmt: skip
    yield say(f"My change to {base} is tested and reported.")


def experiment(note: str, parent: str | None) -> Generator[MockReply, list[str], str]:
    """Run /work/method.py and wait for its end; return the last answer."""
    built_on = {"parent": parent} if parent else {}
    (started,) = yield say("", use("run_experiment", note=note, allow_duplicate=True, **built_on))
    answer = started
    for _ in range(WAITS):
        (answer,) = yield say("", use("experiment", action="wait", experiment=experiment_in(started), seconds=600))
        if "\nrunning" not in answer:
            break
    return answer


def post_by_others(kind: str, name: str, at_least: int = 1) -> Generator[MockReply, list[str], int | None]:
    """Wait until others than `name` have written `at_least` posts; return the number of the newest.

    None: nobody else has posted any in the time that it waits.
    """
    posts: list[int] = []
    for _ in range(WAITS):
        (listing, *_) = yield say("", use("forum_read", kind=kind))
        posts = [int(number) for number in re.findall(rf"^Post (\d+): {kind} by (?!{name},)", listing, re.MULTILINE)]
        if len(posts) >= at_least:
            break
        yield say("Nothing yet; I wait.", use("bash", command=f"sleep {WAIT_SECONDS}"))
    return max(posts, default=None)


def experiment_in(text: str) -> str:
    """Return the first experiment that a text names."""
    match = re.search(r"\be\d+\b", text)
    return match[0] if match else "e0"


SCENARIOS: tuple[Callable[[str], Scenario], ...] = (start_from_scratch, build_on_first_result, build_on_second_result)


def assign(names: Iterable[str]) -> Script:
    """Assign the scenarios to researchers in turn."""
    return {name: partial(SCENARIOS[number % len(SCENARIOS)], name) for number, name in enumerate(names)}
