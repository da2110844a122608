"""BLEU of single answers, by sacrebleu."""

from functools import cache
from typing import Any

from lampbench.plugin.metric import Answer, Metric, register_metric


@register_metric("bleu")
class Bleu(Metric):
    """Geometric mean of the precisions of word 1- to 4-grams with brevity penalty, in [0, 1].

    sacrebleu's sentence BLEU divided by 100: tokenizer 13a, case kept, precisions of zero
    smoothed exponentially (NIST's method, number 3 of Chen and Cherry 2014), and orders that a
    text is too short for left out (effective order). A mean of sentence BLEU is no corpus BLEU.
    Sources: Papineni et al. (2002), BLEU; Post (2018), A Call for Clarity in Reporting BLEU
    Scores.
    """

    title = "BLEU"
    better = "higher"
    compares = True

    def signature(self) -> str:
        """In the notation of sacrebleu."""
        import sacrebleu

        return f"nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:{sacrebleu.__version__}"

    def score(self, answer: Answer) -> float:
        """Sentence BLEU of one pair."""
        found = _bleu().sentence_score(answer.text, [answer.reference or ""])
        # the product of four equal precisions of 1 may come out as 1.0000000000000002
        return min(1.0, float(found.score) / 100)


@cache
def _bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(smooth_method="exp", tokenize="13a", lowercase=False, effective_order=True)
