"""`DataOptions` and the names of splits."""

from typing import Any

import pytest

from lampbench.data import DataOptions
from lampbench.util.errors import LampbenchError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"users": 0}, "users is 0; ask for at least 1 test user"),
        ({"min_history": 0}, "min_history is 0; a test user needs at least 1 record"),
        ({"max_history": 0}, "max_history is 0; keep at least 1 record of a test user"),
        ({"split_by": "temporal"}, "split_by is 'temporal'; use 'user' or 'time'"),
        ({"splits": ("training",)}, "no split is called 'training'; use train, dev, test"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LampbenchError, match=message):
        DataOptions(**options)


def test_published_names_of_splits() -> None:
    options = DataOptions(splits=("train", "val", "validation", "test"))
    assert options.splits == ("train", "dev", "dev", "test")
