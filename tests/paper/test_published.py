"""The paper's numbers: complete, and consistent with what its text derives from them."""

from collections import Counter

import pytest

from lampbench.paper.published import Claim, Published, paper

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"


def found(tables: tuple[int, ...], method: str, task: str, model: str, metric: str) -> Published:
    score = paper().find(tables, method, task, model, metric)
    assert score is not None
    return score


def test_every_table_is_whole():
    count = Counter(score.table for score in paper().scores)
    assert count == {1: 60, 2: 18, 3: 16, 5: 18, 6: 18, 7: 18}


@pytest.mark.parametrize(
    ("table", "method", "task", "model", "metric", "value"),
    [
        (1, "pag", "topic_writing", MISTRAL, "rouge1", 0.262),
        (1, "cope", "scholarly_title", MISTRAL, "rougeL", 0.461),
        (1, "oppu", "news_headline", MISTRAL, "rougeL", 0.182),
        (3, "oppu", "news_headline", MISTRAL, "rougeL", 0.181),
        (3, "oppu_cd", "abstract_generation", MISTRAL, "rougeL", 0.232),
        (2, "cope", "abstract_generation", "Qwen/Qwen2.5-1.5B-Instruct", "rougeL", 0.233),
        (5, "rag", "abstract_generation", "google/gemma-3-4b-it", "rouge1", 0.295),
        (6, "tam", "news_headline", "meta-llama/Llama-3.1-8B-Instruct", "rouge1", 0.188),
        (7, "base", "news_headline", "google/gemma-3-4b-it", "rougeL", 0.063),
    ],
)
def test_figures(table, method, task, model, metric, value):
    assert found((table,), method, task, model, metric).value == value


def test_the_first_table_asked_answers():
    asked = ("oppu", "news_headline", MISTRAL, "rougeL")
    one, three = found((1, 3), *asked), found((3, 1), *asked)
    assert (one.value, three.value) == (0.182, 0.181)
    assert one.note is not None and three.note is not None
    assert "0.181" in one.note and "0.182" in three.note
    assert sum(score.note is not None for score in paper().scores) == 2
    assert paper().find((1,), "oppu_cd", *asked[1:]) is None


def gains(claim: Claim) -> list[float]:
    def value(method: str, task: str) -> float:
        return found((1,), method, task, MISTRAL, claim.metric).value

    return [100 * (value(claim.method, t) / value(claim.over, t) - 1) for t in claim.tasks]


def test_the_papers_gains_follow_from_its_table():
    assert [claim.percent for claim in paper().claims] == [10.57, 5.67, 16.33, 3.89]
    for claim in paper().claims:
        each = gains(claim)
        total = sum(each) if claim.of == "sum" else sum(each) / len(each)
        assert round(total, 2) == claim.percent, claim


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("mistralai/Mistral-7B-Instruct-v0.3",), MISTRAL),
        (("mistral", "/data/models/mistral-7b-instruct-v0.3"), MISTRAL),
        (("m", "C:\\hub\\models--mistralai--Mistral-7B-Instruct-v0.3\\snapshots\\1"), MISTRAL),
        (("bundled", "lampbench/bundled/model"), None),
        (("Mistral-7B-Instruct-v0.3-AWQ",), None),
        (("",), None),
    ],
)
def test_models_are_recognised(names, expected):
    assert paper().model(*names) == expected
