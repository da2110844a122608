"""What an answer looks like, whatever it should have been."""

NGRAM = 4


def count_words(text: str) -> int:
    """Number of pieces between white space."""
    return len(text.split())


def repetition(text: str) -> float:
    """Share of word 4-grams that occurred before in the text, in [0, 1).

    seq-rep-4 of Welleck et al. (2020): 1 - distinct / all. Words are the pieces between white
    space, as written. Texts of fewer than 5 words have nothing to repeat and score 0.
    """
    words = text.split()
    grams = [tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
