"""METEOR as the `evaluate` package computes it, which is what LaMP's code prints."""

from collections.abc import Callable
from functools import cache, lru_cache
from zipfile import BadZipFile

from lampbench.plugin.metric import Answer, Metric, register_metric

MEND = "python -m nltk.downloader wordnet punkt_tab"


@register_metric("meteor")
class Meteor(Metric):
    """Harmonic mean of unigram precision and recall, less a penalty, in [0, 1].

    Recall weighs 9 to 1; words match by form, stem and synonym, and scattered matches cost up to
    half. Source: Banerjee and Lavie (2005), METEOR: An Automatic Metric for MT Evaluation.
    """

    title = "METEOR"
    better = "higher"
    compares = True

    def missing(self) -> str | None:
        """As `meteor_missing`."""
        return meteor_missing()

    def score(self, answer: Answer) -> float | None:
        """METEOR of one pair."""
        scorer = _scorer()
        return scorer(answer.text, answer.reference or "") if scorer else None


def meteor_missing() -> str | None:
    """None when METEOR can be computed, otherwise why not and what to do about it (one line).

    METEOR matches synonyms by WordNet and cuts words with Punkt's English model. NLTK ships
    neither; both are looked for where NLTK looks (`NLTK_DATA`, `~/nltk_data`, ...).
    """
    from nltk.corpus import wordnet
    from nltk.tokenize import word_tokenize

    try:
        word_tokenize("One sentence. Another.")
        wordnet.synsets("word")
    except LookupError:
        return f"METEOR needs NLTK's wordnet and punkt_tab data, not found here: run `{MEND}`"
    except (OSError, BadZipFile) as error:
        return f"METEOR cannot read NLTK's wordnet or punkt_tab data ({error}): run `{MEND}`"
    return None


def meteor_scorer() -> Callable[[str, str], float] | None:
    """A function of (prediction, reference) that gives METEOR in [0, 1]; None if data lack.

    alpha = 0.9, beta = 3, gamma = 0.5 on `word_tokenize`d text. Stems are Porter's, the
    default, but a word that was stemmed before is not stemmed again.
    """
    if meteor_missing() is not None:
        return None
    from nltk.tokenize import word_tokenize
    from nltk.translate.meteor_score import meteor_score

    settings = {"stemmer": _Stems(), "alpha": 0.9, "beta": 3.0, "gamma": 0.5}

    def score(prediction: str, reference: str) -> float:
        return float(
            meteor_score([word_tokenize(reference)], word_tokenize(prediction), **settings)
        )

    return score


_scorer = cache(meteor_scorer)


class _Stems:
    """NLTK's Porter stemmer, which remembers."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem: Callable[[str], str] = lru_cache(maxsize=1 << 16)(PorterStemmer().stem)
