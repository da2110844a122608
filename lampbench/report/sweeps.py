"""Sweeps: runs that differ from the defaults in one value, arranged by that value (Figure 3)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.plugin.decoding import Greedy
from lampbench.plugin.prompting import Plain
from lampbench.plugin.weighted_sides import Contrastive
from lampbench.record.recorded_run import Run
from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.common_seeds import on_common_seeds
from lampbench.report.fill_cells import (
    ExcludedRun,
    changes,
    earlier_defaults,
    in_order,
    newest_runs,
)
from lampbench.report.setups import CODE, Column, Setup, age, column_of, settings_of, setup_of
from lampbench.util.hashing import canonical

FIGURE_3 = ("decoding.alpha", "user_dpo.beta", "decoding.tau")
"""The settings of Figures 3b and 3c, and the threshold of equation 1."""
PATHS = (*FIGURE_3, cast().penalty.parameter)
"""The settings whose sweeps have tables."""
BASE_MODEL = "base model"
"""The path of a sweep over the weights that contrastive decoding contrasts with (Figure 3a)."""
UNTOUCHED = "none (the untouched model)"


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One value of a sweep: the value as text, the method that ran with it, and its scores."""

    value: Any
    shown: str
    default: bool
    method: str
    scores: Mapping[str, CellScore]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One setting's values for one method on one column of one setup."""

    setup: Setup
    column: Column
    method: str
    path: str
    points: tuple[SweepPoint, ...]

    def runs(self) -> list[Run]:
        """The runs behind the points, each once."""
        found = [run for p in self.points for score in p.scores.values() for run in score.chosen]
        return list({run.path: run for run in found}.values())


def sweeps(
    scores: Sequence[CellScore],
    others: Iterable[ExcludedRun],
    paths: Collection[str] | None = PATHS,
) -> tuple[list[Sweep], list[ExcludedRun]]:
    """The sweeps over `paths` (None: any setting) among runs that fill no cell, and the rest.

    A run belongs to a sweep if one value is its only difference from the runs of its cell, or,
    where its cell is empty, from the newest run of the same sweep. Submitted runs belong to none.
    """
    cells = {(s.setup, s.column, s.method): s.chosen for s in scores}
    groups: dict[tuple[Setup, Column, str, str], list[Run]] = defaultdict(list)
    left = []
    for other in others:
        path = _only_change(other) if other.run.submitter is None else None
        if path and (paths is None or path in paths):
            run = other.run
            groups[setup_of(run), column_of(run), run.manifest.method, path].append(run)
        else:
            left.append(other)
    found = []
    for (setup, column, method, path), members in sorted(groups.items(), key=lambda one: one[0]):
        defaults = cells.get((setup, column, method), ())
        swept, passed = _sweep(setup, column, path, defaults, sorted(members, key=age))
        left += passed
        if swept:
            found.append(Sweep(setup, column, method, path, swept))
    return found + _base_models(scores), in_order(left)


def _only_change(other: ExcludedRun) -> str | None:
    """The setting that is a run's only difference from the defaults."""
    manifest = other.run.manifest
    alone = len(manifest.overrides) == 1 and manifest.fidelity == "paper"
    if not alone or manifest.failed_users or other.reason != changes(manifest):
        return None
    (path,) = manifest.overrides
    return path if path in manifest.hyperparameters else None


def _sweep(
    setup: Setup, column: Column, path: str, defaults: Sequence[Run], members: Sequence[Run]
) -> tuple[tuple[SweepPoint, ...], list[ExcludedRun]]:
    """The points of a sweep, by value, and the runs that differ in more than the value."""
    defaults = [run for run in defaults if path in run.manifest.hyperparameters]
    wanted = _without(settings_of(defaults[-1] if defaults else members[-1]), path)
    usual = settings_of(defaults[-1])[path] if defaults else None
    by_value: dict[str, list[Run]] = defaultdict(list)
    passed = []
    for run in members:
        settings = settings_of(run)
        if earlier := earlier_defaults(_without(settings, path), wanted):
            passed.append(ExcludedRun(run, f"{changes(run.manifest)}; {earlier}"))
        elif settings[path] == usual:
            passed.append(ExcludedRun(run, changes(run.manifest)))
        else:
            by_value[settings[path]].append(run)
    if not by_value:
        return (), passed
    points = []
    groups = [defaults] if defaults else []
    for runs in by_value.values():
        chosen, doubles = newest_runs(runs)
        passed += doubles
        groups.append(chosen)
    for at, compared in enumerate(on_common_seeds(groups)):
        is_default = bool(defaults) and at == 0
        points.append(_point(setup, column, compared, _value(compared[0], path), is_default))
    return tuple(sorted(points, key=lambda point: _place(point.value))), passed


def _base_models(scores: Iterable[CellScore]) -> list[Sweep]:
    """Sweeps over methods that differ only in what contrastive decoding contrasts with."""
    groups: dict[tuple[Setup, Column, str], dict[str, CellScore]] = defaultdict(dict)
    one_metric = {(score.setup, score.column, score.method): score for score in scores}
    titles = _titles_of_weights(one_metric.values())
    for score in sorted(one_metric.values(), key=_is_plugin):
        parts = score.chosen[-1].manifest.method_parts
        decoding = parts.get("decoding") or {}
        if decoding.get("part") != Contrastive.name:
            continue
        rest = {**parts, "decoding": _without(decoding, "against")}
        alike = canonical([rest, _without(settings_of(score.chosen[-1]), CODE)])
        against = _expression(decoding.get("against"))
        groups[score.setup, score.column, alike].setdefault(against, score)
    found = []
    for (setup, column, _), variants in sorted(groups.items(), key=lambda one: one[0]):
        if len(variants) < 2:
            continue
        usual = min(variants.values(), key=_is_plugin)
        listed = sorted(variants.items(), key=_untouched_last)
        chosen = on_common_seeds([score.chosen for _, score in listed])
        points = tuple(
            _point(
                setup,
                column,
                runs,
                shown,
                score is usual and not _is_plugin(usual),
                titles.get(shown),
            )
            for (shown, score), runs in zip(listed, chosen, strict=True)
        )
        found.append(Sweep(setup, column, usual.method, BASE_MODEL, points))
    return found


def _titles_of_weights(scores: Iterable[CellScore]) -> dict[str, str]:
    """By recorded adaptation the title of the method that answers with these weights alone."""
    titles: dict[str, str] = {}
    for score in sorted(scores, key=lambda one: (_is_plugin(one), one.method)):
        parts = score.chosen[-1].manifest.method_parts
        plain = (parts.get("prompting") or {}).get("part") == Plain.name
        greedy = (parts.get("decoding") or {}).get("part") == Greedy.name
        known = score.method_title in titles.values()
        if plain and greedy and parts.get("adaptation") and not known:
            titles.setdefault(_expression(parts["adaptation"]), score.method_title)
    return titles


def _untouched_last(variant: tuple[str, CellScore]) -> tuple[bool, str]:
    return variant[0] == UNTOUCHED, variant[0]


def _is_plugin(score: CellScore) -> bool:
    return score.method not in paper().methods


def _point(
    setup: Setup,
    column: Column,
    runs: Sequence[Run],
    value: Any,
    default: bool,
    title: str | None = None,
) -> SweepPoint:
    scores = {score.metric: score for score in score_cell(setup, column, runs)}
    shown = title or (value if isinstance(value, str) else canonical(value))
    return SweepPoint(value, shown, default, runs[0].manifest.method, scores)


def _value(run: Run, path: str) -> Any:
    return run.manifest.hyperparameters[path].value


def _expression(part: Any) -> str:
    """A recorded part as text, such as user_sft(start=task_sft)."""
    if not isinstance(part, Mapping):
        return UNTOUCHED
    inside = ", ".join(f"{n}={_expression(v)}" for n, v in sorted(part.items()) if n != "part")
    return f"{part.get('part')}({inside})" if inside else str(part.get("part"))


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def _place(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (not number, float(value) if number else 0.0, canonical(value))
