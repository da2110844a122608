"""The examples in README.md and docs/plugins.md work as they stand."""

import re
from pathlib import Path

import pytest

from lampbench.execution.runner import execute
from lampbench.record.runs import load_runs
from lampbench.scoring import PredictionRow, Scoring, score_predictions

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)
EXAMPLES = [
    (page, name, body)
    for page in ("README.md", "docs/plugins.md")
    for name, body in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
]
METHODS = [example for example in EXAMPLES if "register_method" in example[2]]


def test_there_are_examples():
    assert {name for _, name, _ in EXAMPLES} == {"nearest", "oppu_rag", "last_words", "opening"}


@pytest.mark.parametrize(("page", "name", "body"), METHODS, ids=[e[1] for e in METHODS])
def test_an_example_competes(page, name, body, tmp_path, planner):
    file = tmp_path / f"{name}.py"
    file.write_text(body)
    registered = re.search(r'register_method\("(\w+)"\)', body).group(1)
    plan = planner(registered, plugins=[file])
    execute(plan, "lampbench run", tmp_path / "results")
    (run,), problems = load_runs(tmp_path / "results")
    assert not problems
    assert run.manifest.method == registered
    assert len(run.predictions) == 5


def test_nearest_answers_with_the_most_similar_headline(tmp_path, planner):
    body = next(body for _, name, body in EXAMPLES if name == "nearest")
    (tmp_path / "nearest.py").write_text(body)
    execute(planner("nearest", plugins=[tmp_path / "nearest.py"]), "", tmp_path / "results")
    (run,), _ = load_runs(tmp_path / "results")
    answers = {row.query: row.prediction for row in run.predictions}
    assert answers["ann-q1"] == "headline 1 by ann"


def test_the_example_of_a_metric_scores(tmp_path):
    (tmp_path / "opening.py").write_text(next(b for _, name, b in EXAMPLES if name == "opening"))
    texts = ("Why we fish", "Fish again", "")
    rows = [PredictionRow("u", str(i), t, "x", truncated=False) for i, t in enumerate(texts)]
    history = {"u": ("Why now?", "Why not", "Where it ends", "How so")}
    scoring = Scoring(("opening",), (tmp_path,), history)
    assert [row["opening"] for row in score_predictions(rows, None, scoring)] == [0.5, 0.0, None]
