"""Which names are likely to be one author's."""

import pytest

from scripts import choose_authors


@pytest.mark.parametrize(
    ("name", "one"),
    [("Iryna Gurevych", True), ("Yang Liu", False), ("Xuan-Jing Huang", True), ("Madonna", False),
     ("William Yang Wang", True)],
)  # fmt: skip
def test_names_that_may_be_several_people(name: str, one: bool) -> None:
    assert choose_authors.is_likely_one_person(name) is one
