"""Choose the hyper-parameters of models' presets on the bundled data's dev users.

    python scripts/tune.py --part lamp [--results tuning] [--cache-dir .lampbench/cache]

Each step tries the values of one hyper-parameter on one method and keeps the best; the next step
starts from there. A method is tuned with the values chosen for the methods that it builds on, and
TAM's steps choose what all methods share. A point's score is the mean over tasks of what its part
judges by: the mean over queries of (ROUGE-1 + ROUGE-L) / 2, or how much more likely a user's own
adapter makes the user's texts than another user's does. A tie keeps the current value. Every point
is a recorded run, so the same command resumes after an interruption. Test users are never read.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lampbench.execution.options import (  # noqa: E402
    RunOptions,
    engine_pool,
    grid_plans,
    resolve_method,
)
from lampbench.execution.plan import Plan  # noqa: E402
from lampbench.execution.runner import execute  # noqa: E402
from lampbench.paper.presets import defaults  # noqa: E402
from lampbench.plugin.hyperparameter import SourcedValue  # noqa: E402
from lampbench.record.recorded_run import Run, read_run  # noqa: E402
from lampbench.registry import Registry  # noqa: E402
from lampbench.study.diagnose import diagnose_plan  # noqa: E402
from lampbench.util.errors import LampbenchError  # noqa: E402
from lampbench.util.progress import Progress  # noqa: E402

Step = tuple[str, str, tuple[float, ...]]
"""Method, hyper-parameter, values."""

# Users of the paper have a hundred records and more, ours 4 to 24: batches of 1 give them as
# many steps for the same work. The values of alpha and beta are the paper's (Figure 3).
SMALL: tuple[Step, ...] = (
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
SHORT_ONLY = ("user_dpo.batch_size", "user_dpo.learning_rate")
"""Tried only on the tasks with short answers, where a point costs a third; both kept theirs."""


@dataclass(frozen=True)
class Part:
    """What is tuned together: a preset on tasks, and the first values where it has changed since.

    Attributes:
        preset: the preset's name.
        model: the model that it is for.
        tasks: whose mean decides.
        steps: in order.
        start: values by path that tuning has replaced in the preset since.
        about: what a reader of the page must know about this part.
        judge: the score of a point on a task, from its plan and its recorded run.
    """

    preset: str
    model: str
    tasks: tuple[str, ...]
    steps: tuple[Step, ...]
    start: Mapping[str, Any]
    about: str = ""
    judge: Callable[[Plan, Run], float] = field(default=lambda plan, run: mean_rouge(run))


_EARLIER = (
    "Made with version 0.1 on its data and random numbers, and not tuned again since; its runs "
    "are not kept."
)
_OWN = (
    "Scores are nats per token of the users' own texts: how much more likely the user's own "
    "adapter makes them than another user's adapter."
)
PARTS = {
    "lamp": Part(
        "small",
        "bundled",
        ("news_headline", "scholarly_title"),
        SMALL,
        {"user_sft.batch_size": 4, "decoding.alpha": 0.3},
        _EARLIER,
    ),
    "longlamp": Part(
        "small",
        "bundled",
        ("abstract_generation", "topic_writing", "review_writing"),
        tuple(step for step in SMALL if step[1] not in SHORT_ONLY),
        {
            "task_sft.learning_rate": 2e-3,
            "user_dpo.beta": 0.05,
            "decoding.alpha": 0.1,
            "decoding.tau": 0.1,
            "decoding.repetition_penalty": 7.0,
        },
        _EARLIER,
    ),
    "smollm2-135m": Part(
        "smollm2-135m",
        "smollm2-135m",
        ("news_headline",),
        (
            ("oppu", "user_sft.learning_rate", (2e-4, 5e-4, 1e-3)),
            ("oppu_cd", "decoding.alpha", (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)),
        ),
        {"decoding.alpha": 0.3},
        "65 queries of 12 users. The rate of TAM is not tuned.",
    ),
    "smollm2-135m-dpo": Part(
        "smollm2-135m",
        "smollm2-135m",
        ("news_headline",),
        (
            ("oppu_dpo", "user_dpo.learning_rate", (5e-6, 5e-5, 2e-4, 5e-4)),
            ("cope", "decoding.tau", (0.01, 0.1, 0.3)),
        ),
        {},
        "65 queries of 12 users. beta is not tuned, and the preset keeps its values.",
    ),
    "smollm2-135m-personal": Part(
        "smollm2-135m",
        "smollm2-135m",
        ("topic_writing",),
        (("oppu", "user_sft.batch_size", (4, 1)), ("oppu", "user_sft.epochs", (2, 4))),
        {
            "user_sft.batch_size": 4,
            "user_sft.epochs": 2,
            "decoding.repetition_penalty": 1.2,
        },
        f"{_OWN} 65 queries of 12 users.",
        lambda plan, run: own_over_another(plan),
    ),
    "smollm2-135m-long": Part(
        "smollm2-135m",
        "smollm2-135m",
        ("topic_writing",),
        (
            ("tam", "decoding.repetition_penalty", (1.0, 1.2, 1.5, 2.0, 4.0)),
            ("oppu_cd", "decoding.alpha", (0.1, 0.3, 0.5, 0.7, 0.9)),
        ),
        {"decoding.repetition_penalty": 1.2, "decoding.alpha": 0.1},
        "65 queries of 12 users, with the adapters of smollm2-135m-personal.",
    ),
    "longlamp-personal": Part(
        "small",
        "bundled",
        ("topic_writing", "abstract_generation"),
        (
            ("oppu", "user_sft.batch_size", (4, 1)),
            ("oppu", "user_sft.epochs", (2, 4, 8)),
            ("oppu", "user_sft.learning_rate", (1e-3, 2e-3, 5e-3, 1e-2)),
        ),
        {},
        f"{_OWN} Real texts only. The preset keeps its values; docs/findings.md says what these "
        "are for.",
        lambda plan, run: own_over_another(plan),
    ),
}


def tune(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The steps of a part, each when it ends: what it tried, how it scored, what it chose."""
    part = PARTS[name]
    progress = Progress()
    chosen = dict(part.start)
    preset = defaults(part.preset, Registry().task(part.tasks[0]))
    for method, path, values in part.steps:
        choices = RunOptions(
            methods=[method],
            tasks=part.tasks,
            models=[part.model],
            splits=("dev",),
            assignments=settled(part, chosen, method, path),
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
            scores[value][plan.spec.task.name] = part.judge(plan, run)
        means = {value: mean(by_task.values()) for value, by_task in scores.items()}
        best = max(means, key=lambda value: (means[value], value == current))
        chosen[path] = best
        progress.say(f"{name}: {path} = {best} ({method}: {means[best]:.4f})")
        yield {"method": method, "path": path, "scores": scores, "means": means, "best": best}


def settled(part: Part, chosen: Mapping[str, Any], method: str, path: str) -> list[str]:
    """The values chosen so far for a step, as of --set: those that its method has, but for what
    the step tries and what is tuned on a later method.
    """
    order = list(dict.fromkeys(name for name, _, _ in part.steps))
    later = {name for tuned, name, _ in part.steps if order.index(tuned) > order.index(method)}
    registry = Registry()
    task = registry.task(part.tasks[0])
    _, has = resolve_method(registry.method(method), task, part.preset, {})
    return [
        f"{name}={value}"
        for name, value in chosen.items()
        if name in has and name != path and name not in later
    ]


def mean_rouge(run: Run) -> float:
    """(ROUGE-1 + ROUGE-L) / 2 of a run, means over the queries.

    Raises:
        LampbenchError: the run was not scored with ROUGE.
    """
    one, longest = run.manifest.mean("rouge1"), run.manifest.mean("rougeL")
    if one is None or longest is None:
        raise LampbenchError(f"{run.path}: has no ROUGE scores; run `lampbench score`")
    return mean((one, longest))


def own_over_another(plan: Plan) -> float:
    """Nats per token by which a user's own adapter beats another user's, mean over the queries."""
    return diagnose_plan(plan).swaps[-1].gain.difference.mean


def table(name: str, steps: Sequence[dict[str, Any]]) -> str:
    """The steps as Markdown: one row per value, the chosen one in bold."""
    part = PARTS[name]
    lines = [f"## {name}", "", f"Preset `{part.preset}`, model `{part.model}`. {part.about}", ""]
    lines += [
        f"| method | hyper-parameter | value | {' | '.join(part.tasks)} | mean |",
        "|---" * (len(part.tasks) + 4) + "|",
    ]
    for step in steps:
        for value, by_task in step["scores"].items():
            shown = f"**{value:g}**" if value == step["best"] else f"{value:g}"
            cells = [f"{by_task[task]:.4f}" for task in part.tasks]
            cells = [step["method"], step["path"], shown, *cells, f"{step['means'][value]:.4f}"]
            lines.append(f"| {' | '.join(cells)} |")
    tried = {step["path"] for step in steps}
    left = [path for _, path, _ in part.steps if path not in tried]
    if left:
        lines += ["", f"Not tried yet, and left as they were: {', '.join(left)}."]
    return "\n".join(lines) + "\n"


HEAD = """# How models' presets were tuned

Made by `scripts/tune.py` from runs on dev users, who are never reported, with seed 0. Scores are
(ROUGE-1 + ROUGE-L) / 2, means over the queries, unless a part says otherwise. Each step keeps the
**best** value and the next starts from it. Differences of a few thousandths are noise.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, tune, and write the page after every step."""
    parser = argparse.ArgumentParser(description="Tune models' presets on the dev users.")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--results", type=Path, default=ROOT / "tuning")
    store = os.environ.get("LAMPBENCH_CACHE_DIR", ROOT / ".lampbench/cache")
    parser.add_argument("--cache-dir", type=Path, default=store, help="also LAMPBENCH_CACHE_DIR")
    options = parser.parse_args(arguments)
    steps = []
    for step in tune(options.part, options):
        steps.append(step)
        write_page(options.results, options.part, table(options.part, steps))


def write_page(folder: Path, name: str, text: str) -> None:
    """Write the page of all parts, with the new text of one."""
    parts = folder / "parts.json"
    known = json.loads(parts.read_text(encoding="utf-8")) if parts.exists() else {}
    known[name] = text
    parts.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    page = "\n".join([HEAD, *(known[part] for part in PARTS if part in known)])
    (folder / "README.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
