"""The numbers of the paper's Table 4."""

from pathlib import Path

import pytest

from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.dataset_statistics import (
    dataset_statistics,
    length_in_tokens,
    length_in_words,
    mean_and_sd,
)
from lampbench.util.errors import LampbenchError


def test_table_four_of_a_small_source(news: Task, lamp: Path) -> None:
    data = load_dataset(news, f"lamp:{lamp}", DataOptions(users=2))
    row = dataset_statistics(data, news, length_in_words, "word")
    assert (row.train, row.users, row.queries) == (3, 2, 2)
    assert (row.profile.mean, row.profile.sd, row.profile.count) == (7.0, 1.0, 2)
    # "You are a news headline generator." (6), the instruction (7), article:, headline: (2)
    assert (row.train_in.mean, row.train_in.sd) == (6 + 7 + 2 + 3, 0.0)  # "Asked text q1"
    assert row.train_out.mean == 2  # "Gold q1"
    assert (row.profile_in.mean, row.profile_in.count) == (6 + 7 + 2 + 4, 14)
    assert row.profile_out.mean == 4


def test_mean_and_standard_deviation() -> None:
    assert (mean_and_sd([1, 3]).mean, mean_and_sd([1, 3]).sd) == (2.0, 1.0)
    assert str(mean_and_sd([1000, 1001])) == "1,000.5 ± 0.5"
    assert str(mean_and_sd([])) == "-"


def test_tokens_of_a_models_tokenizer(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "-": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Punctuation()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert length_in_tokens(tmp_path)("a-a") == 3
    with pytest.raises(LampbenchError, match=r"none.*no such tokenizer; give a model's folder"):
        length_in_tokens(tmp_path / "none")
    Tokenizer(models.WordLevel({"a": 0}, unk_token="?")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(LampbenchError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        length_in_tokens(tmp_path)("b")  # found by the fuzzer
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(LampbenchError, match="cannot be read as a tokenizer"):
        length_in_tokens(tmp_path)
