"""From runs to cells: which runs a table shows, which it lists apart, and the means over seeds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lampbench.hashing import canonical, digest
from lampbench.metrics.aggregate import mean
from lampbench.report.published import Published, paper
from lampbench.runs import Run

PRINTED, ABLATION = (1, 2, 5, 6, 7, 3), (3,)
"""The paper's tables, in the order in which they are asked for a figure. The ablation's repeats
figures of the main table and once differs from it (see the notes in `published.toml`)."""


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """What all rows of one table share, so that nothing but the method differs between them."""

    model: str
    model_fingerprint: str
    dtype: str
    template: str
    preset: str
    source: str


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """One task's data; runs on other data never stand in the same column."""

    task: str
    fingerprint: str
    query_fingerprint: str


@dataclass(frozen=True, slots=True)
class Record:
    """One metric of one cell.

    `mean` is over queries, `users_mean` over users' means; both are means over `seeds` and None
    where the metric could not be computed. `users` and `queries` count those with a reference.
    `paper_model` is the hub id of the paper's model where the runs used one.
    `published` is the paper's figure for the same method, task and metric, for the same model
    where the paper has it and otherwise for the model of its main table; None if there is none.
    """

    setup: Setup
    column: Column
    method: str
    method_title: str
    task_title: str
    metric: str
    mean: float | None
    users_mean: float | None
    users: int
    queries: int
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    synthetic: bool
    paper_model: str | None
    published: Published | None


@dataclass(frozen=True, slots=True)
class Other:
    """A run that is in no table, and why."""

    run: Run
    reason: str


def records(runs: Iterable[Run]) -> tuple[list[Record], list[Other]]:
    """The cells' metrics, and the runs that are in no cell, both in an order of their own.

    A cell holds runs of one method on one column of one setup with the method's default settings
    (fidelity `paper`, nothing overridden) and with every user, which differ in nothing but the
    seed. Where defaults changed between runs, or a seed was run twice, the newest counts.
    """
    cells: dict[tuple[Setup, Column, str], list[Run]] = defaultdict(list)
    others = []
    for run in sorted(runs, key=_age):
        changed = _changes(run.manifest)
        if changed:
            others.append(Other(run, changed))
        else:
            cells[setup_of(run), column_of(run), run.manifest["method"]].append(run)
    found = []
    for (setup, column, _), candidates in sorted(cells.items(), key=lambda item: item[0]):
        chosen, passed = _choose(candidates)
        found += _measure(setup, column, chosen)
        others += passed
    others.sort(key=lambda other: [str(other.run.manifest[n]) for n in ("task", "method", "key")])
    return found, others


def setup_of(run: Run) -> Setup:
    """The setup of a run."""
    info = run.manifest["model_info"]
    return Setup(
        model=run.manifest["model"],
        model_fingerprint=_text(info.get("fingerprint")),
        dtype=_text(info.get("dtype")),
        template=_short(_text(info.get("template"))),
        preset=run.manifest["preset"],
        source=run.manifest["dataset"]["source"],
    )


def column_of(run: Run) -> Column:
    """The data of a run."""
    data = run.manifest["dataset"]
    return Column(run.manifest["task"], data["fingerprint"], data["query_fingerprint"])


def _age(run: Run) -> tuple[str, str]:
    return run.manifest["created"], run.manifest["key"]


def _changes(manifest: Mapping[str, Any]) -> str:
    """What sets a run apart: users left out, or what was set otherwise than the default."""
    changed = []
    if aside := manifest.get("set_aside"):
        users = manifest["dataset"]["test_users"]
        who = ", ".join(f"{user} in {why.partition(':')[0]}" for user, why in sorted(aside.items()))
        changed.append(f"scored on {users - len(aside)} of {users} users, set aside: {who}")
    if manifest["fidelity"] != "paper":
        changed.append(f"fidelity {manifest['fidelity']}")
    for name, value in sorted(manifest["overrides"].items()):
        changed.append(f"{name}={canonical(value)}")
    return ", ".join(changed)


def _choose(candidates: list[Run]) -> tuple[list[Run], list[Other]]:
    """Of runs in order of age: the newest with the newest's settings, one a seed; and the rest."""
    wanted = _settings(candidates[-1])
    chosen: dict[int, Run] = {}
    passed = []
    for run in reversed(candidates):
        settings = _settings(run)
        if settings != wanted:
            changed = [
                f"{name} {settings.get(name, 'unset')} (now {wanted.get(name, 'unset')})"
                for name in sorted(settings.keys() | wanted.keys())
                if settings.get(name) != wanted.get(name)
            ]
            passed.append(Other(run, f"earlier defaults: {', '.join(changed)}"))
        elif run.manifest["seed"] in chosen:
            passed.append(Other(run, "an earlier run of the same cell and seed"))
        else:
            chosen[run.manifest["seed"]] = run
    return [chosen[seed] for seed in sorted(chosen)], passed


def _settings(run: Run) -> dict[str, str]:
    parts = run.manifest["parts"]
    return {
        name: canonical(part.get("value") if isinstance(part, Mapping) else part)
        for name, part in parts.items()
    }


def _measure(setup: Setup, column: Column, runs: list[Run]) -> list[Record]:
    newest = max(runs, key=_age).manifest
    method, data, counts = newest["method"], newest["dataset"], newest["counts"]
    titles = paper()
    model = titles.model(setup.model, _text(newest["model_info"].get("location")))
    return [
        Record(
            setup=setup,
            column=column,
            method=method,
            method_title=_text(newest.get("method_title")) or titles.methods.get(method, method),
            task_title=_text(newest.get("task_title"))
            or titles.tasks.get(column.task, column.task),
            metric=metric,
            mean=_mean(runs, metric, "queries"),
            users_mean=_mean(runs, metric, "users"),
            users=counts["scored_users"],
            queries=counts["scored_queries"],
            seeds=tuple(run.manifest["seed"] for run in runs),
            runs=tuple(run.manifest["key"] for run in runs),
            synthetic=data["synthetic"],
            paper_model=model,
            published=titles.find(PRINTED, method, column.task, model or main_model(), metric),
        )
        for metric in newest["scores"]
    ]


def _mean(runs: list[Run], metric: str, over: str) -> float | None:
    values = [run.manifest["scores"].get(metric, {}).get(over) for run in runs]
    return None if None in values else mean(values)


def main_model() -> str:
    """The hub id of the model of the paper's main table."""
    return next(iter(paper().models))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _short(template: str) -> str:
    """A template's name, or the digest of a template that is given in full."""
    return template if len(template) <= 40 else digest(template)
