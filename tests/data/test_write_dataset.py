"""Writing a dataset: whole or not at all, and never over something else."""

from dataclasses import replace
from pathlib import Path

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.write_dataset import write_dataset
from lampbench.util.errors import LampbenchError

USER = User("a", (Record("1", {"text": "x"}, "t"),), (Query("2", {"text": "y"}, "u"),))
DATASET = Dataset("news_headline", "somewhere", (), (USER,))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(LampbenchError, match="exists already; remove it or choose"):
        write_dataset(DATASET, folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
    (folder / "mine").unlink()
    write_dataset(DATASET, folder)
    assert len(list(folder.iterdir())) == 3


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    unwritable = replace(USER, id=object())  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError):
        write_dataset(replace(DATASET, train_users=(USER, unwritable)), tmp_path / "other")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(LampbenchError, match=r"cannot be written .*choose another --output"):
        write_dataset(DATASET, tmp_path / "file" / "below")
