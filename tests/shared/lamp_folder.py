"""A small folder in LaMP's format."""

from pathlib import Path

import pytest

from tests.data.made_files import news_profile, news_question, write_lamp


@pytest.fixture
def lamp(tmp_path: Path) -> Path:
    """Four users with ids, of 2, 4, 6 and 8 records; `c` and `d` are in dev."""
    train = [
        news_question("q1", news_profile("a", 2), user_id="a"),
        news_question("q2", news_profile("b", 4), user_id="b"),
        news_question("q3", news_profile("b", 4), user_id="b"),
    ]
    dev = [
        news_question("q4", news_profile("c", 6), user_id="c"),
        news_question("q5", news_profile("d", 8), user_id="d"),
    ]
    write_lamp(tmp_path / "lamp", "train", train)
    return write_lamp(tmp_path / "lamp", "dev", dev)
