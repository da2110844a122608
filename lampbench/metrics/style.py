"""How much an answer is written like its user, by profiles of character n-grams."""

from collections import Counter
from functools import lru_cache

from lampbench.plugin.metric import Answer, Metric, register_metric

STYLE_NGRAM = 4
LENGTH = 5000
"""Most frequent n-grams in a user's profile."""


@register_metric("style")
class Style(Metric):
    """Likeness of the answer's character 4-grams to the profile of the user's history, in [0, 1].

    The profile are the 5,000 most frequent 4-grams of what the user wrote, with their relative
    frequencies h; f are those of the answer. Common n-grams (CNG) of Keselj et al. (2003), N-gram-
    based Author Profiles for Authorship Attribution, summed over the answer's n-grams alone, as
    Stamatatos (2007, 2009: A Survey of Modern Authorship Attribution Methods) does where a text
    is short and the profile long; scaled so that 1 is equal frequencies and 0 nothing shared:

        1 - 1/|G| sum over g in G of ((f(g) - h(g)) / (f(g) + h(g)))^2

    Short texts have low values: compare methods on the same queries, never one task with another.
    White space counts as one space, case counts. Texts of fewer than 4 characters score 0.
    """

    title = "Style"
    better = "higher"
    reads_history = True

    def score(self, answer: Answer) -> float:
        """As `likeness` to the history."""
        return likeness(answer.text, answer.history or ())


def likeness(text: str, history: tuple[str, ...]) -> float:
    """1 less the normalised CNG distance of a text from the profile of `history`, in [0, 1]."""
    grams = Counter(_grams(text))
    profile, total = _profile(history), sum(grams.values())
    distance = 0.0
    for gram, count in grams.items():
        ours, theirs = count / total, profile.get(gram, 0.0)
        distance += ((ours - theirs) / (ours + theirs)) ** 2
    return 1 - distance / len(grams) if grams else 0.0


@lru_cache(maxsize=4)  # answers come user by user
def _profile(history: tuple[str, ...]) -> dict[str, float]:
    counts = Counter(gram for text in history for gram in _grams(text))
    total = sum(counts.values())
    # equal counts stand in order of the n-grams, so that the order of records plays no part
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {gram: count / total for gram, count in ranked[:LENGTH]}


def _grams(text: str) -> list[str]:
    line = " ".join(text.split())
    return [line[i : i + STYLE_NGRAM] for i in range(len(line) - STYLE_NGRAM + 1)]
