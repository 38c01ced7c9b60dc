"""The parts that `aar rehearse` plays: researchers that write methods, run them, read one another, and build on one
another's snapshots. What they try is real, and so are its scores; only the thinking is made up.
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
ALONE = say("Nobody else has posted a result, so I leave it at that.")
SURE = "    sure = np.abs(belief[:, 1] - 0.5) >= np.median(np.abs(belief[:, 1] - 0.5))"


def opens(name: str) -> Scenario:
    """Begins from nothing, and answers whoever builds on it."""
    yield say("I begin with what there is.", use("bash", command="cat /shared/lab/README.md; ls /shared/lab/methods"),
              use("budget"), thinking="First the lab, then the data.")  # fmt: skip
    yield say("", use("bash", command="head -3 /shared/data/examples.jsonl; python3 -c "
              "\"import numpy; print(numpy.load('/shared/data/weak_labels.npy')[:5])\""))  # fmt: skip
    yield say("", use("files", command="create", path="method.py", file_text=FIRST), use("quick_check"))
    yield say("", use("forum_post", kind="hypothesis", title="Teacher and prior in equal parts beat the teacher alone"))
    told = yield from experiment("teacher and prior in equal parts", parent=None)
    yield say("", use("forum_post", kind="result", title="Teacher and prior in equal parts", body=told,
              experiment=number_in(told), family="prior"),
              use("lab_notes", command="create", path="/memories/done.md", file_text=told))  # fmt: skip
    post = yield from post_by_others("result", name)
    if post is None:
        yield ALONE
        return
    yield say("", use("forum_read", post=post), use("forum_reply", post=post, title="Did you see it on every seed?"))
    yield say("I leave it at that: my idea is tested, and others go on with it.")


def builds(name: str) -> Scenario:
    """Waits for a first result, and builds on its snapshot."""
    change = f"sed -i 's|^    return .*|{SURE}\\n    return lab.fine_tune(belief, weights=sure)|' method.py"
    yield from build_on_others(name, "only the surer half of the rows", change, "selection")


def builds_further(name: str) -> Scenario:
    """Waits for a second result, and builds on that."""
    change = "sed -i 's|fine_tune(belief|fine_tune((belief > 0.5).astype(float)|' method.py"
    yield from build_on_others(name, "the same, trained on decisions", change, "hard labels", at_least=2)


def build_on_others(name: str, note: str, change: str, family: str, at_least: int = 1) -> Scenario:
    """Wait for so many results, check out the newest one's snapshot, change it, and test it against it."""
    yield say("I read before I write.", use("forum_read"), thinking="Somebody may have begun already.")
    post = yield from post_by_others("result", name, at_least)
    if post is None:
        yield ALONE
        return
    (read,) = yield say("", use("forum_read", post=post))
    base = number_in(read)
    yield say("", use("store_checkout", snapshot=base), use("vote", post=post, value=1))
    (copied,) = yield say("", use("bash", command=f"cp /shared/snapshots/*/method.py . && {change} && cat method.py"))
    yield say(f"I have changed it:\n{copied}", use("quick_check"))
    told = yield from experiment(note, parent=base)
    yield say("", use("store_diff", snapshot=number_in(told)))
    body = f"Built on {base} (post {post}).\n\n{told}"
    yield say("", use("forum_post", kind="result", title=f"On {base}: {note}", body=body, experiment=number_in(told),
              family=family), use("leaderboard"))  # fmt: skip
    yield say(f"My change to {base} is tested and reported.")


def experiment(note: str, parent: str | None) -> Generator[MockReply, list[str], str]:
    """Run /work/method.py and wait; what was told in the end."""
    built_on = {"parent": parent} if parent else {}
    (started,) = yield say("", use("run_experiment", note=note, allow_duplicate=True, **built_on))
    told = started
    for _ in range(WAITS):
        (told,) = yield say("", use("experiment", action="wait", experiment=number_in(started), seconds=600))
        if "\nrunning" not in told:
            break
    return told


def post_by_others(kind: str, name: str, at_least: int = 1) -> Generator[MockReply, list[str], int | None]:
    """The number of the newest of at least so many posts of others than `name`, once there are so many.

    None: nobody else has posted any in the time that it waits.
    """
    posts: list[int] = []
    for _ in range(WAITS):
        (listed, *_) = yield say("", use("forum_read", kind=kind))
        posts = [int(number) for number in re.findall(rf"^Post (\d+): {kind} by (?!{name},)", listed, re.MULTILINE)]
        if len(posts) >= at_least:
            break
        yield say("Nothing yet; I wait.", use("bash", command=f"sleep {WAIT_SECONDS}"))
    return max(posts, default=None)


def number_in(text: str) -> str:
    """The first experiment that a text names."""
    found = re.search(r"\be\d+\b", text)
    return found[0] if found else "e0"


PARTS: tuple[Callable[[str], Scenario], ...] = (opens, builds, builds_further)


def assign(names: Iterable[str]) -> Script:
    """Who plays what, in the order of the names."""
    return {name: partial(PARTS[number % len(PARTS)], name) for number, name in enumerate(names)}
