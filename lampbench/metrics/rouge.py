"""ROUGE-1 and ROUGE-L as LaMP's evaluation computes them, before its bootstrap."""

from collections.abc import Callable


def rouge_scorer() -> Callable[[str, str], dict[str, float]]:
    """A function of (prediction, reference) that gives F1 of ROUGE-1 and ROUGE-L, in [0, 1].

    `rouge-score` with its default tokenizer (lower case, ASCII letters and digits only) and
    without stemming: what `evaluate.load("rouge")` calls for each pair. Text that holds no ASCII
    letter or digit scores 0.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)

    def score(prediction: str, reference: str) -> dict[str, float]:
        found = scorer.score(reference, prediction)
        return {name: float(found[name].fmeasure) for name in ("rouge1", "rougeL")}

    return score
