"""ROUGE-1, ROUGE-2 and ROUGE-L as LaMP's evaluation computes them, before its bootstrap.

`rouge-score` with its default tokenizer (lower case, ASCII letters and digits only) and without
stemming: what `evaluate.load("rouge")` calls for each pair. F1, in [0, 1]; text that holds no
ASCII letter or digit scores 0. Source: Lin (2004), ROUGE: A Package for Automatic Evaluation of
Summaries.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from lampbench.plugin.metric import Answer, Metric, register_metric


class _Rouge(Metric):
    better = "higher"
    compares = True


@register_metric("rouge1")
class Rouge1(_Rouge):
    """F1 of shared single words, in [0, 1]; Lin (2004)."""

    title = "ROUGE-1"

    def score(self, answer: Answer) -> float:
        """F1 of unigrams."""
        return _ngrams("rouge1", answer)


@register_metric("rouge2")
class Rouge2(_Rouge):
    """F1 of shared word pairs, in [0, 1]; Lin (2004). 0 where either text has one word."""

    title = "ROUGE-2"

    def score(self, answer: Answer) -> float:
        """F1 of bigrams."""
        return _ngrams("rouge2", answer)


@register_metric("rougeL")
class RougeL(_Rouge):
    """F1 of the longest common subsequence of words, in [0, 1]; Lin (2004).

    The length of the subsequence alone is rapidfuzz's: it is an integer, the same whoever counts,
    and rouge-score's table in pure Python takes a hundred times as long on a review.
    """

    title = "ROUGE-L"

    def score(self, answer: Answer) -> float:
        """F1 of the longest common subsequence."""
        from rapidfuzz.distance import LCSseq
        from rouge_score.scoring import fmeasure

        ours, theirs = _words(answer.text), _words(answer.reference or "")
        if not ours or not theirs:
            return 0.0
        common = LCSseq.similarity(ours, theirs)
        return float(fmeasure(common / len(ours), common / len(theirs)))


def _ngrams(kind: str, answer: Answer) -> float:
    ours, theirs = _words(answer.text), _words(answer.reference or "")
    return float(_scorer(kind).score(theirs, ours)[kind].fmeasure)


@lru_cache(maxsize=4)  # three metrics ask for the same two texts in turn
def _words(text: str) -> list[str]:
    return _tokenizer()(text)


@cache
def _tokenizer() -> Callable[[str], list[str]]:
    from rouge_score.tokenizers import DefaultTokenizer

    tokenize: Callable[[str], list[str]] = DefaultTokenizer(use_stemmer=False).tokenize
    return tokenize


@cache
def _scorer(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_Tokenized())


class _Tokenized:
    """The tokenizer of texts that were cut into words before."""

    def tokenize(self, words: list[str]) -> list[str]:
        return words
