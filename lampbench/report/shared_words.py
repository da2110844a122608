"""The words that an answer shares with its reference, as ROUGE-1 counts them."""

import re
from collections import Counter

_WORD = re.compile("[a-z0-9]+")


def word_spans(text: str) -> list[tuple[int, int, str]]:
    """Begin, end and lower-case form of each word that ROUGE's tokenizer finds.

    rouge-score gives only the forms; their positions are needed to mark them. A letter may grow
    when its case is lowered ("İ" becomes two characters), so each is lowered by itself.
    """
    lowered, origin = [], []
    for place, character in enumerate(text):
        for small in character.lower():
            lowered.append(small)
            origin.append(place)
    return [
        (origin[found.start()], origin[found.end() - 1] + 1, found[0])
        for found in _WORD.finditer("".join(lowered))
    ]


def pieces(prediction: str, reference: str) -> list[str]:
    """The prediction as pieces, plain text and shared words alternately, plain text first.

    A word is shared as often as the reference has it, from the left: there are as many shared
    words as matches in ROUGE-1.
    """
    left = Counter(word for _, _, word in word_spans(reference))
    cut, done = [], 0
    for begin, end, word in word_spans(prediction):
        if left[word] > 0:
            left[word] -= 1
            cut += [prediction[done:begin], prediction[begin:end]]
            done = end
    return [*cut, prediction[done:]]
