"""How much of an answer stands in what its user wrote before: personalization, or plagiarism?

What a model copies is told from what an author repeats by measuring both: `history_copy` of the
answers is read beside `reference_history_copy`, the same of what the user really wrote.
"""

import re
from functools import lru_cache

from lampbench.metrics.output import ngrams
from lampbench.plugin.metric import Answer, Metric, register_metric

_NGRAM = 4
_WORD = re.compile(r"\w+")


@register_metric("history_copy")
class HistoryCopy(Metric):
    """Share of the answer's word 4-grams that stand in the user's history, in [0, 1].

    1 less the novelty of McCoy et al. (2023), How Much Do Language Models Copy From Their
    Training Data? (RAVEN), with the texts that the user wrote in place of the training data. Words
    are runs of letters and digits, case aside; 4-grams do not cross from one text to the next.
    Answers of fewer than 4 words have none and score 0.
    """

    title = "Copied from history"
    reads_history = True

    def score(self, answer: Answer) -> float:
        """Share of 4-grams found in the history."""
        return copied(answer.text, answer.history or ())


@register_metric("reference_history_copy")
class ReferenceHistoryCopy(Metric):
    """The same share for the reference: how much the author repeats their own words, in [0, 1].

    Source: as for `history_copy`, McCoy et al. (2023).
    """

    title = "Copied by the author"
    compares = True
    reads_history = True

    def score(self, answer: Answer) -> float:
        """Share of the reference's 4-grams found in the history."""
        return copied(answer.reference or "", answer.history or ())


def copied(text: str, history: tuple[str, ...]) -> float:
    """Share of the text's word 4-grams that stand in one of the texts of `history`."""
    grams = ngrams(_words(text), _NGRAM)
    held = _held(history)
    return sum(gram in held for gram in grams) / len(grams) if grams else 0.0


@lru_cache(maxsize=4)  # answers come user by user
def _held(history: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(gram for text in history for gram in ngrams(_words(text), _NGRAM))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
