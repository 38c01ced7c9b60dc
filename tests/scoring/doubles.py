"""A compute actor's double that knows the truth and errs at a chosen rate, and small datasets and campaigns."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from aar.compute.requests import (
    Average,
    Embed,
    FineTune,
    LabelOdds,
    LogLikelihoods,
    Predict,
    Request,
    TextLosses,
    TextRequest,
    array_to_bytes,
    content_key,
)
from aar.compute.store import texts_from_bytes
from aar.config import (
    BudgetConfig,
    CampaignConfig,
    DatasetConfig,
    ProblemConfig,
    ResearcherConfig,
    ScoringConfig,
    StudentConfig,
    TeacherConfig,
)
from aar.errors import ModelError
from aar.models.recipe import Recipe
from aar.problems.dataset import Dataset, Judgement, Preference, Split
from aar.problems.prompts import model_texts

Texts = tuple[str, ...]


class Method:
    """What `actor.method` is for an actor: something with `.remote`."""

    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self.remote = call


VERSION = "double"
"""In place of the digest of aar's code, so that the same students err in the same places whatever changes there."""


class ComputeDouble:
    """Answers embeddings, fine-tuning and predictions about texts whose class it was told by `learn`.

    Who errs on which text is decided by the digest of both, at these rates: the teacher's features err at `weak_error`,
    the untrained student at `prior_error`;
    a student errs at the rate it was made with; one that comes from a `FineTune` errs at a rate that grows with the
    errors in its targets, from `ceiling_error` on. `forgets`: by student, nats per token that it lost on other text.
    """

    def __init__(self, weak_error: float = 0.25, ceiling_error: float = 0.05, prior_error: float = 0.4) -> None:
        self.weak_error, self.ceiling_error, self.prior_error = weak_error, ceiling_error, prior_error
        self._dice: dict[str, str] = {}
        self.forgets: dict[str, float] = {}
        self.requests: list[Request] = []
        self.run, self.get = Method(self._run), Method(self._get)
        self.has, self.put = Method(self._has), Method(self._put)
        self._classes: dict[Texts, int] = {}
        self._rates: dict[str, float] = {}
        self._results: dict[str, bytes] = {}

    def learn(self, *splits: Split) -> None:
        """Know the classes of these examples."""
        for split in splits:
            for texts in (model_texts(split.examples, "label_token"), model_texts(split.examples, "scalar_head")):
                self._classes |= dict(zip(texts, split.labels.tolist(), strict=True))

    def know(self, dataset: Dataset) -> None:
        """Know the classes of all splits."""
        self.learn(dataset.train_label, dataset.train_unlabel, dataset.test)

    def student(self, name: str, error: float) -> str:
        """The key of a new student that errs at this rate."""
        self._rates[name] = error
        return name

    def errs(self, who: str, texts: Texts, rate: float) -> bool:
        """Does it err here?"""
        digest = hashlib.sha256(f"{self._dice.get(who, who)} on {texts}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < rate * 2**32

    def accuracy(self, student: str, texts: list[Texts]) -> float:
        """The share of texts on which a student is right."""
        return float(np.mean([not self.errs(student, one, self._rates[student]) for one in texts]))

    def of_kind(self, kind: type[Request]) -> list[Any]:
        """The requests of one kind, so far."""
        return [request for request in self.requests if isinstance(request, kind)]

    def texts(self, request: TextRequest) -> Any:
        """The texts that a request names, one tuple for each example."""
        return texts_from_bytes(self._results[request.texts.digest])

    async def _has(self, key: str) -> bool:
        return key in self._results

    async def _put(self, key: str, data: bytes, account: str) -> None:
        assert key not in self._results, "what is stored was put again"
        self._results[key] = data

    async def _run(self, request: Request, account: str, ticket: str) -> str:
        key = request.key()
        if key not in self._results:
            fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
            if isinstance(request, TextRequest):
                fields["texts"] = self.texts(request)
            self._dice[key] = content_key(type(request).__name__, fields, VERSION)
            self.requests.append(request)
            self._results[key] = self._answer(request, key)
        return key

    async def _get(self, key: str) -> bytes:
        return self._results[key]

    def _answer(self, request: Request, key: str) -> bytes:
        match request:
            case FineTune():
                true = np.array([self._classes[one] for one in self.texts(request)])
                wrong = float(np.mean((request.targets > 0.5) != (true == 1)))
                self._rates[key] = min(0.5, self.ceiling_error + 0.8 * wrong)
                return b"a student"
            case Average():
                self._rates[key] = float(np.dot([self._rates[one] for one in request.students], request.shares))
                return b"a student"
            case Predict():
                if request.student not in self._rates:
                    raise ModelError(f"no student {request.student}")
                return array_to_bytes(self._signs(request.student, self.texts(request), self._rates[request.student]))
            case Embed():
                return array_to_bytes(self._features(self.texts(request)))
            case LogLikelihoods() | LabelOdds():
                signs = np.concatenate([self._signs("prior", [one], self.prior_error) for one in self.texts(request)])
                signs = signs * (1 + np.arange(len(signs)) % 7 / 10)
                scores = np.stack([np.zeros(len(signs)), signs], axis=1)
                return array_to_bytes(scores if isinstance(request, LogLikelihoods) else signs[:, None])
            case TextLosses():
                worse = self.forgets.get(request.student or "", 0.0)
                return array_to_bytes(np.array([2.0 + len(one[0]) % 7 / 10 + worse for one in self.texts(request)]))
        raise AssertionError(f"the scorer asked for {request}")

    def _signs(self, who: str, texts: Any, rate: float) -> np.ndarray:
        right = np.array([2 * self._classes[one] - 1 for one in texts], np.float32)
        return np.where([self.errs(who, one, rate) for one in texts], -right, right)

    def _features(self, texts: Any) -> np.ndarray:
        """(n, k, 2): the sign of the last text's first number tells the class."""
        vectors = np.zeros((len(texts), len(texts[0]), 2), np.float32)
        sizes = [1 + hashlib.sha256(str(one).encode()).digest()[0] / 1280 for one in texts]
        vectors[:, -1, 0] = self._signs("teacher", texts, self.weak_error) * sizes
        return vectors


def judgements(count: int, first: int) -> list[dict[str, Any]]:
    return [
        {"question": f"Is {first + row} odd?", "choice": f"yes {first + row}", "label": bool((first + row) % 2)}
        for row in range(count)
    ]


def preferences(count: int, first: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Pair {first + row}", "first": f"a {row}", "second": f"b {row}", "label": "AB"[(first + row) % 2]}
        for row in range(count)
    ]


def write_dataset(folder: Path, rows: Callable[[int, int], list[dict[str, Any]]] = judgements, test: int = 240) -> Path:
    """A dataset of 40 labelled, 60 unlabelled and `test` test rows."""
    folder.mkdir(parents=True, exist_ok=True)
    first = 0
    for split, count in (("train_label", 40), ("train_unlabel", 60), ("test", test)):
        lines = [json.dumps(row) for row in rows(count, first)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
        first += count
    return folder


def campaign(source: Path | str, **changes: Any) -> CampaignConfig:
    """A campaign on one dataset. `changes`: dataset sizes, or `teacher`, `recipe`, `scoring`, `budget`, `also`."""
    parts: dict[str, Any] = {
        "teacher": TeacherConfig(model="weak", examples=32),
        "recipe": Recipe(form="scalar_head"),
        "scoring": ScoringConfig(baseline_seeds=4, seeds=2),
        "budget": BudgetConfig(experiments_per_researcher=2),
        "also": [],
    }
    parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
    dataset = DatasetConfig(name="data", source=str(source), **changes)
    return CampaignConfig(
        name="test",
        problem=ProblemConfig(
            teacher=parts["teacher"],
            student=StudentConfig(model="strong"),
            recipe=parts["recipe"],
            datasets=[dataset, *parts["also"]],
        ),
        researchers=[ResearcherConfig(name="ada", direction="strong-prior")],
        scoring=parts["scoring"],
        budget=parts["budget"],
    )


def texts_of(split: Split) -> list[str]:
    """Every text in a split's examples."""
    found: list[str] = []
    for example in split.examples:
        match example:
            case Preference():
                found += [example.prompt, example.first, example.second]
            case Judgement():
                found += [example.question, example.choice]
    return found
