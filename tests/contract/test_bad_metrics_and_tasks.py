"""Metrics and tasks that break the contract, and the messages that say what to change."""

import pytest

METRIC = '''
"""A metric of the tests."""
import random
from lampbench.plugin import *

@register_metric("mine")
class Mine(Metric):
    """Length of the answer in characters. Source: defined here."""
    title = "Mine"
    high = None
    {attributes}
    def score(self, answer):
        {score}
        return len(answer.text)
'''


def metric(score="pass", attributes=""):
    return METRIC.format(score=score, attributes=attributes)


def test_a_sound_metric_passes(checked):
    found = checked(metric(), "metric")
    assert {one.verdict for one in found.values()} == {"passed"}, found


@pytest.mark.parametrize(
    ("source", "check", "says"),
    [
        (metric("return str(answer.text)"), "runs", "fix it to give a number from 0 to 1e+100"),
        (metric("return -1"), "runs", "fix it to give a number"),
        (metric("return answer.nothing"), "runs", "in Mine.score() at "),
        (metric("return random.random()"), "determinism", "random.random()"),
        (metric("return hash(answer.text) % 9"), "determinism", "(hash())"),
        (metric("return len(answer.reference or '')"), "references", "Set `compares = True`"),
        (metric("return len(answer.history or ())"), "references", "Set `reads_history = True`"),
        (metric("self.n += 1; return self.n", "n = 0"), "independence", "self.n"),
        (metric("self.seen.append(1); return len(self.seen)", "seen = []"), "state",
         "Keep nothing between calls"),
        (metric(attributes='title = ""'), "card", "set `title`"),
    ],
)  # fmt: skip
def test_a_bad_metric_fails_with_what_to_change(checked, source, check, says):
    found = checked(source, "metric")[check]
    assert found.verdict == "failed"
    assert says in found.message


TASK = '''
"""A task of the tests."""
from lampbench.plugin import *

@register_task("mine")
class Mine(Task):
    """Title of a text. Source: defined here."""
    title = "Mine"
    family = "lamp"
    fields = ("text", "place")
    target_name = "title"
    shorten = "text"
    system = "You write titles."
    template = "Write a title.\\ntext: {text}\\nplace: {place}\\ntitle:"
    example = "text: {text} title: {target}\\n"
    max_new_tokens = 20
'''
SHOWS_HALF = """
    def prompt(self, fields, *, template=None):
        return super().prompt({**fields, "text": fields["text"][:3]}, template=template)
"""
RETURNS_TEXT = """
    def prompt(self, fields, *, template=None):
        return "a text"
"""
COUNTS = """
    calls = [0]
    def prompt(self, fields, *, template=None):
        self.calls[0] += 1
        return super().prompt(fields, template=template).before(Piece(str(self.calls[0])))
"""
RAISES = """
    def prompt(self, fields, *, template=None):
        return fields["absent"]
"""
NEVER_SHORT = """
    def prompt(self, fields, *, template=None):
        return Prompt(self.system, (Piece(fields["text"]), Piece(fields["place"])))
"""


def test_a_sound_task_passes(checked):
    found = checked(TASK, "task")
    assert {one.verdict for one in found.values()} == {"passed"}, found


@pytest.mark.parametrize(
    ("source", "check", "says"),
    [
        (TASK.replace('("text", "place")', '("text", "place", "title")'), "declaration",
         "'title' is what is to be written: take it out of `fields`"),
        (TASK.replace('shorten = "text"', 'shorten = "body"'), "declaration", "name one of place"),
        (TASK.replace("place: {place}", ""), "declaration", "does not show the field 'place'"),
        (TASK.replace("{target}", ""), "declaration", "does not show {target}"),
        (TASK.replace("text: {text} title", "text: {body} title"), "declaration", "{body}"),
        (TASK.replace('family = "lamp"', 'family = "short"'), "declaration", "choose lamp or"),
        (TASK + SHOWS_HALF, "prompts", "does not show the field 'text' in full"),
        (TASK + RETURNS_TEXT, "prompts", "which is not a Prompt"),
        (TASK + COUNTS, "prompts", "two prompts for the same fields"),
        (TASK + RAISES, "prompts", "in Mine.prompt() at "),
        (TASK + NEVER_SHORT, "shortening", "no part of it may be shortened"),
        (TASK.replace('title = "Mine"', 'title = ""'), "card", "set `title`"),
    ],
)  # fmt: skip
def test_a_bad_task_fails_with_what_to_change(checked, source, check, says):
    found = checked(source, "task")[check]
    assert found.verdict == "failed", found
    assert says in found.message
