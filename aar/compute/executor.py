"""Answers requests on one worker: caches loaded models and hidden states, and turns each request into bytes.

It uses torch and DeepSpeed but not Ray, so that it can be tested without a cluster.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from aar.compute.engine import FitSpec, Group, fine_tune
from aar.compute.requests import (
    Average,
    Embed,
    FineTune,
    ImportAdapter,
    LabelOdds,
    LogLikelihoods,
    Predict,
    ProbeHead,
    Request,
    TextLosses,
    array_to_bytes,
)
from aar.compute.store import StoredTexts, texts_from_bytes
from aar.errors import TrainingError
from aar.models.adoption import adopted
from aar.models.batching import SampleSchedule
from aar.models.catalog import model_folder
from aar.models.inference import SentenceEncoder, embed, flatten, label_odds, log_likelihoods, predict, text_losses
from aar.models.language_model import HiddenStateCache, LanguageModel, LayerSplit, Precision, choose_dtype
from aar.models.recipe import Texts
from aar.models.student import Student, StudentShape, averaged, probe_student

MAX_MODELS = 2
MAX_PREFIXES = 4
MAX_TEXTS = 4


class RequestExecutor:
    """Answers requests with the models that it has loaded.

    Args:
        artifact: returns a student's file, or texts, by their key. Raises TrainingError when they are not stored.
    """

    def __init__(
        self, device: torch.device, precision: Precision, group: Group, artifact: Callable[[str], bytes]
    ) -> None:
        self._device, self._dtype, self._group = device, choose_dtype(precision, device), group
        self._artifact = artifact
        self._models: OrderedDict[str, LanguageModel | SentenceEncoder] = OrderedDict()
        self._texts: OrderedDict[str, Texts] = OrderedDict()
        self._prefixes: OrderedDict[tuple[str, int | None, int, str], tuple[HiddenStateCache, int]] = OrderedDict()

    def execute(
        self, requests: Sequence[Request], is_wanted: Callable[[], bool] = lambda: True
    ) -> list[bytes | TrainingError]:
        """Return the results of one request, or of several `FineTune`s with the same batch key, in their order.

        Where one of several cannot be answered, its error takes the place of its result.

        Args:
            is_wanted: called now and then; False when no caller waits for them any more.

        Raises:
            AarError: none of them can be answered.
        """
        first = requests[0]
        match first:
            case FineTune():
                return self._fine_tune([request for request in requests if isinstance(request, FineTune)], is_wanted)
            case ImportAdapter():
                return [self._adopt(first).to_bytes()]
            case ProbeHead():
                return [self._probe(first).to_bytes()]
            case Average():
                return [averaged([self._student(key) for key in first.students], first.shares).to_bytes()]
            case Predict():
                values = self._predict(first)
            case TextLosses():
                values = self._text_losses(first)
            case LogLikelihoods():
                model, (flat, k) = self._language_model(first.model), self._flat(first.texts)
                values = log_likelihoods(model, flat, first.max_tokens).reshape(-1, k)
            case LabelOdds():
                model, (flat, k) = self._language_model(first.model), self._flat(first.texts)
                values = label_odds(model, flat, first.labels, first.max_tokens).reshape(-1, k)
            case Embed():
                values = self._embed(first)
            case _:
                raise TrainingError(f"workers do not know the request {type(first).__name__}")
        return [array_to_bytes(values)]

    def _fine_tune(self, requests: Sequence[FineTune], is_wanted: Callable[[], bool]) -> list[bytes | TrainingError]:
        first = requests[0]
        model, recipe = self._language_model(first.model), first.recipe
        prefix, k = self._prefix(first.model, recipe.last_layers, recipe.max_tokens, first.texts)
        fits = [self._fit(request) for request in requests]
        students = fine_tune(model, prefix, k, recipe, first.labels, fits, self._group, is_wanted)
        return [student.to_bytes() if isinstance(student, Student) else student for student in students]

    def _adopt(self, request: ImportAdapter) -> Student:
        recipe = request.recipe
        cut = self._language_model(request.model).cut(recipe.last_layers)
        shape = StudentShape.of(recipe, request.labels)
        return adopted(request.weights, shape, cut, recipe.lora_rank)  # no more capacity than the ceiling has

    def _probe(self, request: ProbeHead) -> Student:
        cut = self._language_model(request.model).cut(request.recipe.last_layers)
        return probe_student(cut, StudentShape.of(request.recipe, request.labels), request.weight, request.bias)

    def _fit(self, request: FineTune) -> FitSpec:
        return FitSpec(
            visits=SampleSchedule(request.rows, request.weights, request.shuffle),
            targets=request.targets,
            loss=request.loss,
            epochs=request.recipe.epochs,
            lr=request.recipe.lr,
            seed=request.seed,
            start=None if request.start is None else self._student(request.start),
        )

    def _predict(self, request: Predict) -> np.ndarray:
        student = self._student(request.student)
        model, shape = self._language_model(request.model), student.shape
        prefix, k = self._prefix(request.model, shape.last_layers, shape.max_tokens, request.texts)
        return predict(model, student, prefix, k)

    def _text_losses(self, request: TextLosses) -> np.ndarray:
        model, (flat, _) = self._language_model(request.model), self._flat(request.texts)
        return text_losses(model, flat, None if request.student is None else self._student(request.student))

    def _embed(self, request: Embed) -> np.ndarray:
        flat, k = self._flat(request.texts)
        if request.layer is None:
            vectors = self._encoder(request.model).embed(flat)
        else:
            model = self._language_model(request.model)
            vectors = embed(model, flat, request.layer, request.max_tokens, request.pool)
        return vectors.reshape(-1, k, *vectors.shape[1:])

    def _student(self, key: str) -> Student:
        return Student.from_bytes(self._artifact(key))

    def _language_model(self, name: str) -> LanguageModel:
        model = self._model(name, lambda: LanguageModel(model_folder(name), self._device, self._dtype))
        if not isinstance(model, LanguageModel):
            raise TrainingError(f'"{name}" is in use as a sentence encoder; it cannot be a student too')
        return model

    def _encoder(self, name: str) -> SentenceEncoder:
        model = self._model(name, lambda: SentenceEncoder(model_folder(name), self._device))
        if not isinstance(model, SentenceEncoder):
            raise TrainingError(f'"{name}" is in use as a language model; it cannot be a sentence encoder too')
        return model

    def _model(self, name: str, load: Callable[[], LanguageModel | SentenceEncoder]) -> LanguageModel | SentenceEncoder:
        if name not in self._models:
            while len(self._models) >= MAX_MODELS:
                oldest, _ = self._models.popitem(last=False)
                for key in [key for key in self._prefixes if key[0] == oldest]:
                    del self._prefixes[key]
            self._models[name] = load()
        self._models.move_to_end(name)
        return self._models[name]

    def _prefix(
        self, name: str, last_layers: int | None, max_tokens: int, texts: StoredTexts
    ) -> tuple[HiddenStateCache, int]:
        key = (name, last_layers, max_tokens, texts.digest)
        if key not in self._prefixes:
            while len(self._prefixes) >= MAX_PREFIXES:
                self._prefixes.popitem(last=False)
            model = self._language_model(name)
            cut: LayerSplit = model.cut(last_layers)
            flat, texts_per_example = self._flat(texts)
            prefix = HiddenStateCache(cut, model.encode(flat, max_tokens), self._device)
            self._prefixes[key] = prefix, texts_per_example
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def _flat(self, texts: StoredTexts) -> tuple[list[str], int]:
        """Return what `flatten` does, of texts that may have to be loaded first."""
        if texts.digest not in self._texts:
            loaded = texts_from_bytes(self._artifact(texts.digest))
            while len(self._texts) >= MAX_TEXTS:
                self._texts.popitem(last=False)
            self._texts[texts.digest] = loaded
        self._texts.move_to_end(texts.digest)
        return flatten(self._texts[texts.digest])
