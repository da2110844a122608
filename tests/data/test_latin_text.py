"""What is said of references in which ROUGE finds no word."""

import json
from pathlib import Path

import pytest

from lampbench.core.dataset import Query, User
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.latin_text import rouge_notes
from lampbench.metrics.rouge import RougeL
from lampbench.plugin.metric import Answer


@pytest.mark.parametrize("text", ["日本語の題", "Привет, мир", "😂", "...", "é"])
def test_a_reference_that_rouge_cannot_read_is_counted(text: str) -> None:
    (said,) = rouge_notes([User("u", (), (Query("1", {}, text), Query("2", {}, "two")))])
    assert "ROUGE is 0 whatever the answer: 1 of 2;" in said
    assert RougeL().score(Answer("u", "1", text, text)) == 0.0


@pytest.mark.parametrize("text", ["café", "第2回", "\u212a", "", None])
def test_nothing_is_said_of_others(text: str | None) -> None:
    assert rouge_notes([User("u", (), (Query("1", {}, text),))]) == []
    if text:
        assert RougeL().score(Answer("u", "1", text, text)) == 1.0


def test_data_are_loaded_with_the_note(news: Task, tmp_path: Path) -> None:
    item = {"id": "1", "fields": {"text": "今日の記事"}, "target": "見出し"}
    user = {"id": "u", "history": [item], "queries": [{**item, "id": "2"}]}
    (tmp_path / "dataset.json").write_text(json.dumps({"task": "news_headline"}))
    (tmp_path / "test.jsonl").write_text(json.dumps(user))
    (tmp_path / "train.jsonl").touch()
    notes = load_dataset(news, f"lampbench:{tmp_path}", DataOptions()).notes
    assert any("ROUGE is 0 whatever the answer: 1 of 1;" in note for note in notes)
