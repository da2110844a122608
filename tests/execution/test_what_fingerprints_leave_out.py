"""Dates and training users' histories: in the keys of whatever may see them, and in no other."""

from dataclasses import replace

import pytest

LATE = """
from dataclasses import dataclass
from typing import ClassVar

from lampbench.plugin import Method, Plain, TaskSFT, register_method


@dataclass(frozen=True)
class Dated(Plain):
    name: ClassVar = "dated"

    def render(self, context, user, item):
        return super().render(context, user, item).before(*[])


@register_method("late")
class Late(Method):
    prompting = Dated()
    adaptation = TaskSFT()
"""


def with_first_record(users, **changes):
    """The users, the first of them with another oldest record."""
    first, *rest = users
    record = replace(first.history[0], **changes)
    return (replace(first, history=(record, *first.history[1:])), *rest)


@pytest.fixture
def later(dataset):
    """The same texts with other dates."""
    users = with_first_record(dataset.test_users, date="1999-01-01")
    return replace(dataset, test_users=users)


@pytest.fixture
def retrained(dataset):
    """The same test users, and a training user with another past."""
    users = with_first_record(dataset.train_users, target="another headline")
    return replace(dataset, train_users=users)


@pytest.fixture
def late(tmp_path):
    file = tmp_path / "late.py"
    file.write_text(LATE)
    return [file]


@pytest.mark.parametrize(
    ("method", "seen"),
    [("tam", False), ("cope", False), ("rag", False), ("oppu_rag", True), ("oppu_pag", True)],
)
def test_training_on_prompts_that_quote_sees_the_training_users_histories(
    planner, retrained, method, seen
):
    assert (planner(method).folder != planner(method, data=retrained).folder) == seen


@pytest.mark.parametrize("method", ["cope", "oppu_rag", "rag"])
def test_a_built_in_reads_no_date(planner, later, method):
    assert planner(method).folder == planner(method, data=later).folder


def test_code_of_others_may_read_both(planner, later, retrained, late):
    before = planner("late", plugins=late)
    assert planner("late", plugins=late, data=later).folder != before.folder
    assert planner("late", plugins=late, data=retrained).folder != before.folder


def test_artifacts_made_with_code_of_others_change_with_dates(planner, later, late):
    plans = planner("late", plugins=late), planner("late", plugins=late, data=later)
    keys = [
        plan.executor.keys.of(plan.stages[0].recipe, plan.stages[0].owners[0]) for plan in plans
    ]
    assert keys[0] != keys[1]
