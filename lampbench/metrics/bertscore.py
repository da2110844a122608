"""BERTScore, by the package of its authors."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lampbench.plugin.metric import Answer, Metric, register_metric
from lampbench.util.hashing import folder_digest

MODEL, LAYER = "LAMPBENCH_BERTSCORE_MODEL", "LAMPBENCH_BERTSCORE_LAYER"
DEFAULT = "roberta-large"


@register_metric("bertscore")
class BertScore(Metric):
    """F1 of greedy matches between the words' contextual embeddings, in [-1, 1].

    Without idf weights and without rescaling; most pairs lie above 0.8, so differences are small.
    The model is `LAMPBENCH_BERTSCORE_MODEL` (default roberta-large, the authors' choice for
    English), or a folder of one with its layer in `LAMPBENCH_BERTSCORE_LAYER`. Texts are cut at
    the model's length. Source: Zhang et al. (2020), BERTScore: Evaluating Text Generation with
    BERT.
    """

    title = "BERTScore"
    low = -1.0
    better = "higher"
    compares = True
    batched = True

    def missing(self) -> str | None:
        """Whether the package is there, and the settings are sound."""
        if importlib.util.find_spec("bert_score") is None:
            return "BERTScore needs its package: pip install 'lampbench[bertscore]'"
        model, layer = _settings()
        if layer and not layer.isdecimal():
            return f"{LAYER} is {layer!r}: set the number of a layer"
        if Path(model).is_dir() and not layer:
            return f"BERTScore knows no layer for the model {model}: set {LAYER}"
        return None

    def signature(self) -> str:
        """The package's own: model, layer, idf, version; a folder is named with its digest."""
        model, layer = _settings()
        return str(_scorer(model, layer).hash).replace(model, _named(model))

    def scores(self, answers: Sequence[Answer]) -> Iterator[float]:
        """F1 for each answer; an empty text on either side scores 0."""
        full = [one for one in answers if one.text and one.reference]
        found: dict[int, float] = {}
        if full:
            texts, references = [one.text for one in full], [one.reference for one in full]
            _, _, f1 = _scorer(*_settings()).score(texts, references)
            found = {id(one): float(value) for one, value in zip(full, f1, strict=True)}
        # float32 may come out a little above 1
        yield from (min(1.0, found.get(id(one), 0.0)) for one in answers)


def _settings() -> tuple[str, str]:
    """The model and its layer; an empty layer is the one that the package has for the model."""
    return os.environ.get(MODEL) or DEFAULT, os.environ.get(LAYER, "")


@cache  # as the model
def _named(model: str) -> str:
    folder = Path(model)
    return f"{folder.name}@{folder_digest(folder)}" if folder.is_dir() else model


@cache  # loading the model takes longer than a thousand answers
def _scorer(model: str, layer: str) -> Any:
    from bert_score import BERTScorer

    return BERTScorer(
        model_type=model,
        num_layers=int(layer) if layer else None,
        idf=False,
        rescale_with_baseline=False,
    )
