"""ROUGE-1 and ROUGE-L as LaMP's evaluation computes them, before its bootstrap."""

from collections.abc import Callable


def rouge_scorer() -> Callable[[str, str], dict[str, float]]:
    """A function of (prediction, reference) that gives F1 of ROUGE-1 and ROUGE-L, in [0, 1].

    `rouge-score` with its default tokenizer (lower case, ASCII letters and digits only) and
    without stemming: what `evaluate.load("rouge")` calls for each pair. Text that holds no ASCII
    letter or digit scores 0. The longest common subsequence alone is rapidfuzz's: its length is
    an integer, the same whoever counts, and rouge-score's table in pure Python takes a hundred
    times as long on a review.
    """
    from rapidfuzz.distance import LCSseq
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.scoring import fmeasure
    from rouge_score.tokenizers import DefaultTokenizer

    tokenize = DefaultTokenizer(use_stemmer=False).tokenize
    unigrams = RougeScorer(["rouge1"], tokenizer=_Tokenized())

    def score(prediction: str, reference: str) -> dict[str, float]:
        ours, theirs = tokenize(prediction), tokenize(reference)
        longest = 0.0
        if ours and theirs:
            common = LCSseq.similarity(ours, theirs)
            longest = float(fmeasure(common / len(ours), common / len(theirs)))
        return {
            "rouge1": float(unigrams.score(theirs, ours)["rouge1"].fmeasure),
            "rougeL": longest,
        }

    return score


class _Tokenized:
    """The tokenizer of texts that were cut into words before."""

    def tokenize(self, words: list[str]) -> list[str]:
        return words
