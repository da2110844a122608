"""Recorded runs made in a test."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lampbench.cli.main import main
from lampbench.record.manifest import Manifest
from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from lampbench.report.contents import arrange
from lampbench.report.leaderboard import pages
from lampbench.scoring import PredictionRow, ScoreTable
from tests.shared.recorded import amended, as_json, record_rows

Recorder = Callable[..., Run]
Call = Callable[..., tuple[int, str, str]]
Cells = Callable[..., dict[str, dict[str, str]]]

TITLES = {"news_headline": "News Headline", "review_writing": "Review Writing"}


@pytest.fixture
def record(tmp_path: Path) -> Recorder:
    """A function that records one run under `tmp_path / "results"`.

    Of its two users the first has two queries. An answer shares `good` of 10 words with its
    reference for the first user and none for the second, so that ROUGE is good / 10 by query for
    2 of 3 queries: 2/3 of it over queries, 1/2 of it over users.
    """
    words = [f"w{i}" for i in range(10)]

    def make(
        method: str,
        task: str = "news_headline",
        good: int = 5,
        *,
        seed: int = 0,
        key: str | None = None,
        dataset: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Run:
        answer = " ".join(words[:good] + ["x"] * (10 - good))
        rows = [
            PredictionRow(user, query, text, " ".join(words), 7, 10, 0, False)
            for user, query, text in [("a", "1", answer), ("a", "2", answer), ("b", "1", "x " * 10)]
        ]
        described = describe(method, task, seed, key, dataset, changes)
        return record_rows(tmp_path / "results", rows, **described)

    return make


@pytest.fixture
def scored(tmp_path: Path) -> Recorder:
    """A function that records a run with given scores, {user: [score of each query]}.

    The scores are ROUGE-1; ROUGE-L is `rouge_l` of each.
    """

    def make(
        method: str,
        scores: Mapping[str, Sequence[float]],
        task: str = "news_headline",
        *,
        seed: int = 0,
        key: str | None = None,
        dataset: dict[str, Any] | None = None,
        rouge_l: float = 0.5,
        **changes: Any,
    ) -> Run:
        rows, values = [], []
        for user, mine in scores.items():
            for query, value in enumerate(mine):
                name = f"q{query}"
                rows.append(PredictionRow(user, name, f"{method} to {query}", "w"))
                values.append(
                    {"user": user, "query": name, "rouge1": value, "rougeL": value * rouge_l,
                     "reference_words": 1}
                )  # fmt: skip
        described = describe(method, task, seed, key, dataset, changes)
        return record_rows(tmp_path / "results", rows, ScoreTable.from_rows(values), **described)

    return make


def describe(
    method: str,
    task: str,
    seed: int,
    key: str | None,
    dataset: dict[str, Any] | None,
    changes: dict[str, Any],
) -> dict[str, Any]:
    """What a manifest says."""
    return {
        "key": key or f"{method}-{seed}",
        "method": method,
        "task": task,
        "task_title": TITLES.get(task, task),
        "seed": seed,
        "hyperparameters": {"decoding.alpha": {"value": 0.3, "source": "paper 4.1"}},
        "dataset": dataset or {},
        **changes,
    }


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """A function that runs the command line where `results` is: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, captured.out, captured.err

    return run


@pytest.fixture
def cells() -> Cells:
    """A function that reads one table of a page: {row label: {column heading: text}}.

    Columns of the same heading ("paper") are told apart by the heading before them. Marks and
    intervals are left out unless they are asked for.
    """

    def read(text: str, *headings: str, marks: bool = False) -> dict[str, dict[str, str]]:
        for heading in headings:
            place = text.index(f"# {heading}\n")
            text = text[place + len(heading) + 3 :]
        lines = [line for line in text.split("\n#")[0].splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines]
        if not marks:
            rows = [[re.sub(r" \[\S+, \S+\]$| ≈|\*\*", "", cell) for cell in row] for row in rows]
        head = [
            f"{rows[0][i - 1]}, paper" if name == "paper" else name
            for i, name in enumerate(rows[0])
        ]
        return {row[0]: dict(zip(head, row, strict=True)) for row in rows[2:]}

    return read


@pytest.fixture
def amend(tmp_path: Path) -> Recorder:
    """A function that records a run again, each row with what `change(row)` says."""

    def again(
        run: Run,
        change: Callable[[PredictionRow], dict[str, Any]],
        *,
        fields: Mapping[str, str] | None = None,
        history: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Run:
        rows = [amended(row, **change(row)) for row in run.predictions]
        return record_rows(
            tmp_path / "results",
            rows,
            fields=fields,
            history=history,
            replace=True,
            **{**as_changes(run.manifest), **changes},
        )

    return again


def as_changes(manifest: Manifest) -> dict[str, Any]:
    """What `record_rows` is given to record a run with this manifest."""
    content: dict[str, Any] = as_json(asdict(manifest))
    for computed in ("files", "counts", "scores"):
        del content[computed]
    for file in ("queries_file", "histories_file"):
        del content["dataset"][file]
    return content


@pytest.fixture
def asked(amend: Recorder) -> Recorder:
    """A function that records a run again, with what its users were asked and had written."""

    def make(run: Run, fields: Mapping[str, str], history: Mapping[str, str]) -> Run:
        return amend(run, lambda row: {}, fields=fields, history=history)

    return make


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., str]:
    """A function that gives the text of a page made from the recorded runs: `leaderboard`, or the
    name of a table.
    """

    def page(name: str, results: str = "results") -> str:
        recorded = arrange(load_runs(tmp_path / results)[0])
        made = pages(recorded, Path("leaderboard.md"), Path("results/tables"))
        return {path.stem: text for path, text in made.items()}[name]

    return page
