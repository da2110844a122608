"""What the reference code's output parsing keeps of an answer, task by task."""

import pytest

from lampbench.execution.reference_parser import reference_parse
from lampbench.registry import Registry

ANSWER = ' Sure:\n"First"\n1. "Second"\n"Third"\nand more'
ALL_USERS = 'Sure:\n"First"\n1. "Second"\n"Third"\nand more'


def parsed(name, *, answer=ANSWER, method="base", model="llama"):
    registry = Registry()
    task = registry.task(name)
    prompt = task.prompt(dict.fromkeys(task.fields, "x"))
    return reference_parse(task, registry.method(method), model, prompt, answer)


@pytest.mark.parametrize(
    ("task", "kept"),
    [
        ("news_headline", "Third"),
        ("review_writing", "Third"),
        ("topic_writing", "Third"),
        ("scholarly_title", "Second"),
        ("abstract_generation", ALL_USERS),
    ],
)
def test_tasks_keep_a_quoted_line_a_numbered_line_or_all(task, kept):
    assert parsed(task) == kept


@pytest.mark.parametrize("task", ["news_headline", "scholarly_title"])
def test_mistral_keeps_all_after_the_marker(task):
    assert parsed(task, model="mistral-7b") == ALL_USERS


@pytest.mark.parametrize("task", ["news_headline", "scholarly_title"])
def test_without_such_a_line_the_last_one_is_kept(task):
    assert parsed(task, answer=" one\ntwo\n") == "two"


def test_contrastive_decoding_keeps_everything():
    assert parsed("news_headline", method="cope") == ALL_USERS
