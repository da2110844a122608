"""What counts as copied text: 13 words in a row."""

from lampbench.data.leaks.ngrams import first_ngram, ngram_hashes, text_ngrams

FOURTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def test_case_and_punctuation_are_ignored() -> None:
    assert text_ngrams(FOURTEEN) == text_ngrams(FOURTEEN.upper().replace(" ", ", "))
    assert len(text_ngrams(FOURTEEN)) == 2


def test_a_short_text_is_one_ngram_and_a_tiny_one_none() -> None:
    assert text_ngrams("A title of five words!") == {"a title of five words"}
    assert text_ngrams("Understanding your customer") == set()


def test_hashes_are_the_same_on_every_machine() -> None:
    hashes = ngram_hashes([FOURTEEN, FOURTEEN, "Understanding your customer"])
    assert hashes.tolist() == sorted(hashes.tolist()) and len(hashes) == 2
    assert ngram_hashes(["A title of five words!"]).tolist() == [15765494159325698603]


def test_the_first_ngram_that_is_searched_for() -> None:
    hashes = ngram_hashes([FOURTEEN])
    assert first_ngram(["A title of five words!"], hashes) == ""
    assert first_ngram(["x", FOURTEEN], hashes) == FOURTEEN.rpartition(" ")[0]
