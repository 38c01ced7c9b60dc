"""The search brain: it reads the forum, tries methods, and posts conclusions, whatever dies in between."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aar.errors import MethodError
from aar.methods import builtin_source
from aar.researchers.brains.search.brain import SearchPolicy
from aar.researchers.brains.search.space import MethodSpec
from aar.scoring.records import Score
from tests.researchers.client_double import (
    Campaign,
    ClientDouble,
    CodeInMemory,
    Evaluate,
    evaluate_by_digest,
    evaluate_on_lab,
)

TEAM = {"ada": "strong-prior", "bob": "label-denoising", "eve": "data-reweighting"}


class Killed(BaseException):
    """The process is gone."""


def begun(folder: Path, evaluate: Evaluate = evaluate_by_digest, experiments_each: int = 3) -> Campaign:
    """A campaign whose reference is scored."""
    campaign = Campaign(folder, evaluate=evaluate, experiments_each=experiments_each, code=CodeInMemory(), page=3)
    campaign.vanilla = evaluate(builtin_source("vanilla"))
    return campaign


def policy(client: ClientDouble, direction: str, statuses: list[str] | None = None) -> SearchPolicy:
    return SearchPolicy(client, direction, (statuses if statuses is not None else []).append)


def mortal(client: ClientDouble, calls: int, after: bool) -> ClientDouble:
    """A client whose process is killed at the n-th call, before or after the call took effect."""
    numbers = count(1)

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            is_last = next(numbers) == calls
            if is_last and not after:
                raise Killed
            answer = method(*arguments, **more)
            if is_last:
                raise Killed
            return answer

        return call

    for name in ("posts", "post", "publish", "start"):
        setattr(client, name, wrapped(getattr(client, name)))
    return client


def run(campaign: Campaign, team: dict[str, str]) -> None:
    """Every researcher in turn, one step at a time, with a fresh brain each time."""
    working = dict(team)
    while working:
        working = {name: way for name, way in working.items() if policy(campaign.client(name), way).step()}


def story(campaign: Campaign) -> list[tuple[Any, ...]]:
    return [(post.author, post.kind, post.title, post.body, post.snapshot, post.reply_to) for post in campaign.posts()]


def specs_tried(campaign: Campaign) -> list[MethodSpec]:
    return [MethodSpec.from_dict(post.data["spec"]) for post in campaign.posts("hypothesis")]


def test_three_researchers_find_a_method_that_beats_vanilla(tmp_path: Path) -> None:
    campaign = begun(tmp_path, evaluate_on_lab)
    run(campaign, TEAM)
    values = [post.data["value"] for post in campaign.posts("result")]
    assert len(values) == 9
    assert campaign.vanilla is not None and max(values) > campaign.vanilla.pgr + 0.2


def test_every_experiment_has_a_hypothesis_a_snapshot_and_a_conclusion_that_replies(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    run(campaign, TEAM)
    for result in campaign.posts("result"):
        assert result.reply_to is not None
        hypothesis = campaign.forum.get(result.reply_to)
        assert hypothesis.kind == "hypothesis" and hypothesis.author == result.author
        assert hypothesis.snapshot == result.snapshot in {snapshot.id for snapshot in campaign.code.log()}
        assert result.data["spec"] == hypothesis.data["spec"]
        assert result.data["value"] == result.data["score"]["pgr"]
        assert "Against vanilla" in result.body.text and result.experiment


def test_no_method_is_run_twice_in_a_campaign(tmp_path: Path) -> None:
    campaign = begun(tmp_path, experiments_each=8)
    run(campaign, TEAM)
    assert len(specs_tried(campaign)) == len(set(specs_tried(campaign))) == 24


def test_researchers_with_the_same_direction_do_not_repeat_each_other(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    run(campaign, dict.fromkeys(["ada", "bob", "eve"], "agreement"))
    assert len(set(specs_tried(campaign))) == 9


def test_a_researcher_builds_on_anothers_best_snapshot_and_names_it(tmp_path: Path) -> None:
    campaign = begun(tmp_path, experiments_each=6)
    run(campaign, TEAM)
    built = [post for post in campaign.posts("hypothesis") if post.data["builds_on"] is not None]
    bases = [campaign.forum.get(post.data["builds_on"]) for post in built]
    assert any(base.author != post.author for post, base in zip(built, bases, strict=True))
    for post, base in zip(built, bases, strict=True):
        assert campaign.code.snapshot(post.snapshot).parent == base.snapshot
        assert f"post {base.id} by {base.author}" in post.body.text
        (reply,) = campaign.forum.replies(post.id)
        assert f"Against the method it varies (post {base.id})" in reply.body.text


def test_research_continues_without_scores_for_what_was_not_an_improvement(tmp_path: Path) -> None:
    best: list[float] = []

    def evaluate(source: str) -> Score | None:
        score = evaluate_by_digest(source)
        if best and score.pgr <= max(best):
            return None
        best.append(score.pgr)
        return score

    campaign = begun(tmp_path, evaluate, experiments_each=6)
    run(campaign, TEAM)
    results = campaign.posts("result")
    not_released = [post for post in results if post.data["value"] is None]
    assert len(results) == 18 and len(set(specs_tried(campaign))) == 18
    assert not_released and all(post.title.text.startswith("No significant improvement: ") for post in not_released)
    assert all("score" not in post.data and "Its score was not released" in post.body.text for post in not_released)
    assert not campaign.posts("error")


def test_the_method_file_contains_the_hypothesis(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    run(campaign, {"ada": "curriculum"})
    for post in campaign.posts("hypothesis"):
        source = campaign.code.checkout(post.snapshot)["method.py"].decode()
        assert post.body.text.split("\n\n")[0][:60] in source


def test_a_failed_experiment_becomes_an_error_post_and_is_not_repeated(tmp_path: Path) -> None:
    def evaluate(source: str) -> Score | None:
        if "posterior(" in source:
            raise MethodError("the method raised LabError: no")
        return evaluate_by_digest(source)

    campaign = begun(tmp_path, evaluate)
    run(campaign, TEAM)
    errors = campaign.posts("error")
    assert errors and all("the method raised LabError: no" in post.body.text for post in errors)
    assert len(campaign.posts("result")) + len(errors) == len(set(specs_tried(campaign))) == 9


def test_a_researcher_says_what_it_is_doing(tmp_path: Path) -> None:
    statuses: list[str] = []
    policy(begun(tmp_path).client("ada"), "strong-prior", statuses).step()
    statuses = [status.split(":")[0] for status in statuses]
    assert statuses == ["reading the forum", "writing a method", "experiment 1"]


def test_a_researcher_works_before_vanilla_has_a_score(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    campaign.vanilla = None
    run(campaign, TEAM)
    assert all("Against vanilla" not in post.body.text for post in campaign.posts("result"))


def test_an_unknown_direction_has_a_first_method_too(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    run(campaign, {"ada": "something of my own"})
    assert len(campaign.posts("result")) == 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(1, 24, 2))
def test_a_researcher_killed_at_any_call_leaves_the_same_story_when_a_new_one_resumes(
    tmp_path: Path, call: int, after: bool
) -> None:
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    undisturbed, killed = begun(tmp_path / "undisturbed"), begun(tmp_path / "killed")
    run(undisturbed, {"ada": "agreement"})
    client = mortal(killed.client("ada"), call, after)
    with pytest.raises(Killed):
        while policy(client, "agreement").step():
            pass
    run(killed, {"ada": "agreement"})
    assert story(killed) == story(undisturbed)
    assert list(killed.started) == list(undisturbed.started)


def test_a_researcher_killed_after_publishing_may_choose_again_from_newer_posts(tmp_path: Path) -> None:
    campaign = begun(tmp_path)
    policy(campaign.client("ada"), "agreement").step()
    client = mortal(campaign.client("ada"), calls=3, after=True)
    with pytest.raises(Killed):
        policy(client, "agreement").step()
    assert len(campaign.code.log()) == 2 and len(campaign.posts("hypothesis")) == 1
    run(campaign, {"bob": "strong-prior"})
    run(campaign, {"ada": "agreement"})
    assert len(campaign.posts("result", "ada")) == 3
