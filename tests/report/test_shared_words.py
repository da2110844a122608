"""Words are found where ROUGE's tokenizer finds them."""

import pytest
from rouge_score.tokenizers import DefaultTokenizer

from lampbench.report.shared_words import pieces, word_spans

TEXTS = [
    "The quick, brown fox's 2nd_try -- re-done!",
    "Café déjà vu: naïve co-öperation",
    "İstanbul \u212aelvin ΣΑΣ ǅ ﬁne",
    "日本語 and 中文 mixed123text",
    "שלום \u202eabc\u202c \u2028new\u2029line\0end",
    "",
    " \n\t",
    "a",
]


@pytest.mark.parametrize("text", TEXTS)
def test_they_are_rouges(text):
    found = word_spans(text)
    assert [word for _, _, word in found] == DefaultTokenizer(use_stemmer=False).tokenize(text)
    assert all(0 <= begin < end <= len(text) for begin, end, _ in found)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_make_the_text_again(text):
    assert "".join(pieces(text, " ".join(TEXTS))) == text
    assert pieces(text, "") == [text]


def test_a_word_is_shared_as_often_as_the_reference_has_it():
    assert pieces("The cat, the dog and THE end", "the dog saw the cat") == [
        "", "The", " ", "cat", ", ", "the", " ", "dog", " and THE end",
    ]  # fmt: skip


def test_case_that_grows_stays_in_place():
    assert pieces("xİ y", "xi") == ["", "xİ", " y"]
