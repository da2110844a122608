"""Choose the hyper-parameters of the `small` preset on the bundled data's dev users.

    python scripts/tune.py --family lamp [--results tuning] [--cache-dir .lampbench/cache]

Each step tries the values of one hyper-parameter on one method and keeps the best; the next step
starts from there. A method is tuned with the values chosen for the methods that it builds on, and
TAM's steps choose what all methods share. The score is the mean over tasks of the mean over queries
of (ROUGE-1 + ROUGE-L) / 2; a tie keeps the current value. Every point is a recorded run, so the
same command resumes after an interruption. Test users are never read.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.execution.options import RunOptions, engine_pool, grid_plans  # noqa: E402
from lampbench.execution.runner import execute  # noqa: E402
from lampbench.paper.presets import defaults  # noqa: E402
from lampbench.plugin.hyperparameter import SourcedValue  # noqa: E402
from lampbench.record.runs import Run, read_run  # noqa: E402
from lampbench.registry import Registry  # noqa: E402
from lampbench.util.errors import LampbenchError  # noqa: E402
from lampbench.util.progress import Progress  # noqa: E402

FAMILIES = {
    "lamp": ("news_headline", "scholarly_title"),
    "longlamp": ("abstract_generation", "topic_writing", "review_writing"),
}
# Users of the paper have a hundred records and more, ours 4 to 24: batches of 1 give them as
# many steps for the same work.
STEPS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("tam", "task_sft.learning_rate", (1e-3, 2e-3, 4e-3)),
    ("tam", "decoding.repetition_penalty", (1.0, 1.2, 2.0, 7.0)),
    ("oppu", "user_sft.batch_size", (4, 1)),
    ("oppu", "user_sft.learning_rate", (2e-3, 5e-3, 1e-2)),
    ("oppu", "user_sft.epochs", (2, 4)),
    ("cope", "user_dpo.batch_size", (4, 1)),
    ("cope", "user_dpo.learning_rate", (2e-4, 5e-4, 1e-3)),
    ("cope", "user_dpo.beta", (0.1, 0.3, 1.0, 3.0)),
    ("cope", "decoding.alpha", (0.0, 0.1, 0.3, 0.5, 0.7)),
    ("cope", "decoding.tau", (0.01, 0.1, 0.3)),
)
"""Method, hyper-parameter, values; those of alpha and beta are the paper's (Figure 3)."""


START: dict[str, dict[str, Any]] = {
    "lamp": {"user_sft.batch_size": 4, "decoding.alpha": 0.3},
    "longlamp": {
        "task_sft.learning_rate": 2e-3,
        "user_dpo.beta": 0.05,
        "decoding.alpha": 0.1,
        "decoding.tau": 0.1,
        "decoding.repetition_penalty": 7.0,
    },
}
"""The first values, where tuning has changed the preset since."""

SHORT_ONLY = ("user_dpo.batch_size", "user_dpo.learning_rate")
"""Tried only on the tasks with short answers, where a point costs a third; both kept theirs."""


def tune(family: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The steps of a family, each when it ends: what it tried, how it scored, what it chose."""
    progress = Progress()
    chosen = dict(START[family])
    order = list(dict.fromkeys(method for method, _, _ in STEPS))
    above = {path: order.index(method) for method, path, _ in STEPS}
    preset = defaults("small", Registry().task(FAMILIES[family][0]))
    for method, path, values in STEPS:
        if path not in paths(family):
            continue
        settled = [
            f"{name}={value}"
            for name, value in chosen.items()
            if above[name] <= order.index(method) and name != path
        ]
        choices = RunOptions(
            methods=[method],
            tasks=FAMILIES[family],
            splits=("dev",),
            assignments=settled,
            cache_dir=options.cache_dir,
        )
        current = chosen.get(path, preset[path].value)
        points = [{path: SourcedValue(value, "scripts/tune.py")} for value in values]
        found = grid_plans(choices, points, options.results, engine_pool(choices, progress))
        scores: dict[Any, dict[str, float]] = {value: {} for value in values}
        for point, plan in found:
            command = shlex.join(sys.argv)
            run = read_run(execute(plan, command, options.results))
            value = point[path].value
            scores[value][plan.spec.task.name] = mean_rouge(run)
        means = {value: mean(by_task.values()) for value, by_task in scores.items()}
        best = max(means, key=lambda value: (means[value], value == current))
        chosen[path] = best
        progress.say(f"{family}: {path} = {best} ({method}: {means[best]:.4f})")
        yield {"method": method, "path": path, "scores": scores, "means": means, "best": best}


def mean_rouge(run: Run) -> float:
    """(ROUGE-1 + ROUGE-L) / 2 of a run, means over the queries.

    Raises:
        LampbenchError: the run was not scored with ROUGE.
    """
    one, longest = run.manifest.mean("rouge1"), run.manifest.mean("rougeL")
    if one is None or longest is None:
        raise LampbenchError(f"{run.path}: has no ROUGE scores; run `lampbench score`")
    return mean((one, longest))


def paths(family: str) -> list[str]:
    """The hyper-parameters that a family's steps try, in order."""
    return [p for _, p, _ in STEPS if family != "longlamp" or p not in SHORT_ONLY]


def table(family: str, steps: Sequence[dict[str, Any]]) -> str:
    """The steps as Markdown: one row per value, the chosen one in bold."""
    tasks = FAMILIES[family]
    lines = [
        f"## {family}",
        "",
        f"| method | hyper-parameter | value | {' | '.join(tasks)} | mean |",
        "|---" * (len(tasks) + 4) + "|",
    ]
    for step in steps:
        for value, by_task in step["scores"].items():
            shown = f"**{value:g}**" if value == step["best"] else f"{value:g}"
            cells = [f"{by_task[task]:.4f}" for task in tasks]
            cells = [step["method"], step["path"], shown, *cells, f"{step['means'][value]:.4f}"]
            lines.append(f"| {' | '.join(cells)} |")
    tried = {step["path"] for step in steps}
    left = [path for path in paths(family) if path not in tried]
    if left:
        lines += ["", f"Not tried yet, and left as they were: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


HEAD = """# How the `small` preset was tuned

Made by `scripts/tune.py` from the runs in this folder: dev users, who are never reported, seed 0,
model `bundled`. Scores are (ROUGE-1 + ROUGE-L) / 2, means over the queries. Each step keeps the
**best** value and the next starts from it. Differences of a few thousandths are noise: there are
28 to 160 queries per task.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, tune, and write the page after every step."""
    parser = argparse.ArgumentParser(description="Tune the small preset on the dev users.")
    parser.add_argument("--family", choices=FAMILIES, required=True)
    parser.add_argument("--results", type=Path, default=ROOT / "tuning")
    store = os.environ.get("LAMPBENCH_CACHE_DIR", ROOT / ".lampbench/cache")
    parser.add_argument("--cache-dir", type=Path, default=store, help="also LAMPBENCH_CACHE_DIR")
    options = parser.parse_args(arguments)
    steps = []
    for step in tune(options.family, options):
        steps.append(step)
        write_page(options.results, options.family, table(options.family, steps))


def write_page(folder: Path, family: str, text: str) -> None:
    """Write the page of both families, with the new text of one family."""
    parts = folder / "parts.json"
    known = json.loads(parts.read_text(encoding="utf-8")) if parts.exists() else {}
    known[family] = text
    parts.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    page = "\n".join([HEAD, *(known[name] for name in FAMILIES if name in known)])
    (folder / "README.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
