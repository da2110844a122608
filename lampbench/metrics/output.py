"""What an answer looks like, whatever it should have been: controls that need no library."""

from collections.abc import Sequence

from lampbench.plugin.metric import Answer, Metric, register_metric

_NGRAM = 4


@register_metric("words")
class Words(Metric):
    """Length of the answer in words: pieces between white space. 0 and up.

    Source: defined here.
    """

    title = "Words"
    high = None
    digits = 1

    def score(self, answer: Answer) -> int:
        """Words of the answer."""
        return count_words(answer.text)


@register_metric("reference_words")
class ReferenceWords(Metric):
    """Length of the reference in words: pieces between white space. 0 and up.

    Source: defined here.
    """

    title = "Words of reference"
    high = None
    compares = True
    digits = 1

    def score(self, answer: Answer) -> int:
        """Words of the reference."""
        return count_words(answer.reference or "")


@register_metric("length_ratio")
class LengthRatio(Metric):
    """Words of the answer for each word of the reference. 0 and up; 1 is the author's length.

    Not defined (null) for a reference without words. Source: defined here.
    """

    title = "Length ratio"
    high = None
    compares = True
    digits = 2

    def score(self, answer: Answer) -> float | None:
        """Words of the answer / words of the reference."""
        theirs = count_words(answer.reference or "")
        return count_words(answer.text) / theirs if theirs else None


@register_metric("truncated")
class Truncated(Metric):
    """1 if the token budget ended the answer, not a stop token; null where nobody recorded it.

    Source: defined here.
    """

    title = "Truncated"
    better = "lower"

    def score(self, answer: Answer) -> bool | None:
        """Whether the answer was cut off."""
        return answer.truncated


@register_metric("repetition")
class Repetition(Metric):
    """Share of word 4-grams that occurred before in the answer, in [0, 1).

    seq-rep-4 of Welleck et al. (2020), Neural Text Generation with Unlikelihood Training.
    """

    title = "Repetition"
    better = "lower"

    def score(self, answer: Answer) -> float:
        """As `repetition`."""
        return repetition(answer.text)


@register_metric("distinct1")
class Distinct1(Metric):
    """Share of distinct words among the answer's words, in (0, 1].

    Distinct-1 of Li et al. (2016), A Diversity-Promoting Objective Function for Neural
    Conversation Models, within each answer. Long texts have lower values: compare equal lengths.
    """

    title = "Distinct-1"

    def score(self, answer: Answer) -> float:
        """Distinct words / words."""
        return distinct(answer.text, 1)


@register_metric("distinct2")
class Distinct2(Metric):
    """Share of distinct word pairs among the answer's word pairs, in (0, 1].

    As distinct-1. Li et al. divide by the number of words; here as in most code by that of pairs,
    so that a text without repetition has 1.
    """

    title = "Distinct-2"

    def score(self, answer: Answer) -> float:
        """Distinct word pairs / word pairs."""
        return distinct(answer.text, 2)


def count_words(text: str) -> int:
    """Number of pieces between white space."""
    return len(text.split())


def repetition(text: str) -> float:
    """Share of word 4-grams that occurred before in the text, in [0, 1).

    seq-rep-4 of Welleck et al. (2020): 1 - distinct / all. Words are the pieces between white
    space, as written. Texts of fewer than 5 words have nothing to repeat and score 0.
    """
    grams = ngrams(text.split(), _NGRAM)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def distinct(text: str, n: int) -> float:
    """Distinct word n-grams / all, in (0, 1]; 1 for texts that have none."""
    grams = ngrams(text.split(), n)
    return len(set(grams)) / len(grams) if grams else 1.0


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Every run of n words, in order."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
