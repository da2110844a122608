"""Recorded runs made in a test."""

import json
import re
import sys
from pathlib import Path

import pytest

from lampbench.cli.main import main
from lampbench.record.inputs import inputs_path
from lampbench.record.runs import write_run
from lampbench.scoring import score_predictions

sys.path.insert(0, str(Path(__file__).parent))  # the module of helpers beside this file

TITLES = {"news_headline": "News Headline", "review_writing": "Review Writing"}


@pytest.fixture
def record(tmp_path):
    """A function that records one run under `tmp_path / "results"`.

    Of its two users the first has two queries. An answer shares `good` of 10 words with its
    reference for the first user and none for the second, so that ROUGE is good / 10 by query for
    2 of 3 queries: 2/3 of it over queries, 1/2 of it over users.
    """
    words = [f"w{i}" for i in range(10)]

    def make(method, task="news_headline", good=5, *, seed=0, key=None, dataset=None, **changes):
        answer = " ".join(words[:good] + ["x"] * (10 - good))
        predictions = [
            {
                "user": user,
                "query": query,
                "prediction": text,
                "reference": " ".join(words),
                "prompt_tokens": 7,
                "new_tokens": 10,
                "prompt_tokens_dropped": 0,
                "truncated": False,
            }
            for user, query, text in [("a", "1", answer), ("a", "2", answer), ("b", "1", "x " * 10)]
        ]
        manifest = describe(method, task, seed, key, dataset, changes)
        return write_run(
            tmp_path / "results", manifest, predictions, score_predictions(predictions)
        )

    return make


@pytest.fixture
def scored(tmp_path):
    """A function that records a run with given scores, {user: [score of each query]}.

    The scores are ROUGE-1; ROUGE-L is half of each.
    """

    def make(method, scores, task="news_headline", *, seed=0, key=None, dataset=None, **changes):
        predictions, rows = [], []
        for user, values in scores.items():
            for query, value in enumerate(values):
                name = {"user": user, "query": f"q{query}"}
                text = {"prediction": f"{method} to {query}", "reference": "w", "truncated": False}
                predictions.append({**name, **text})
                rows.append({**name, "rouge1": value, "rougeL": value / 2, "reference_words": 1})
        manifest = describe(method, task, seed, key, dataset, changes)
        return write_run(tmp_path / "results", manifest, predictions, rows)

    return make


def describe(method, task, seed, key, dataset, changes):
    """A manifest."""
    return {
        "key": key or f"{method}-{seed}",
        "method": method,
        "task": task,
        "task_title": TITLES.get(task, task),
        "model": "bundled",
        "seed": seed,
        "preset": "small",
        "fidelity": "paper",
        "overrides": {},
        "parts": {"decoding.alpha": {"value": 0.3, "source": "paper 4.1"}},
        "dataset": {
            "source": "bundled",
            "fingerprint": f"{task}-data",
            "query_fingerprint": f"{task}-queries",
            "synthetic": False,
            **(dataset or {}),
        },
        "model_info": {"location": "bundled", "fingerprint": "w0", "dtype": "float32"},
        "created": "2026-01-01T00:00:00+00:00",
        **changes,
    }


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """A function that runs the command line where `results` is: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


@pytest.fixture
def cells():
    """A function that reads one table of a page: {row label: {column heading: text}}.

    Columns of the same heading ("paper") are told apart by the heading before them. Marks and
    intervals are left out unless they are asked for.
    """

    def read(text, *headings, marks=False):
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
def amend(tmp_path):
    """A function that records a run again, with rows that `change(row)` has altered in place."""

    def again(run, change, **manifest):
        rows = run.predictions
        for row in rows:
            change(row)
        return write_run(
            tmp_path / "results",
            {**run.manifest, **manifest},
            rows,
            score_predictions(rows),
            replace=True,
        )

    return again


@pytest.fixture
def asked():
    """A function that records, beside a run, what its users were asked and had written."""

    def make(run, fields, history):
        root = run.path.parents[3]
        file = inputs_path(root, run.manifest["task"], run.manifest["dataset"]["fingerprint"])
        queries = {(row["user"], row["query"]) for row in run.predictions}
        rows = [
            {
                "user": user,
                "history": list(history.items()),
                "queries": [[query, fields] for who, query in sorted(queries) if who == user],
            }
            for user in sorted({user for user, _ in queries})
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return make
