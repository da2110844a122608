"""`lampbench list` and `lampbench show`: what there is, and what a method would do."""

import json
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.group("list")
def list_() -> None:
    """List methods, tasks, metrics, models or recorded runs."""


@list_.command("methods")
@options.plugins
def list_methods(plugins: tuple[str, ...]) -> None:
    """Methods, with their three choices; broken plugins with their cause."""
    _list_plugins("method", plugins)


@list_.command("tasks")
@options.plugins
def list_tasks(plugins: tuple[str, ...]) -> None:
    """Tasks; broken plugins with their cause."""
    _list_plugins("task", plugins)


@list_.command("metrics")
@options.plugins
def list_metrics(plugins: tuple[str, ...]) -> None:
    """Metrics, with their range and what each needs; broken plugins with their cause."""
    from lampbench.registry import Registry, plugin_paths

    rows = Registry(plugin_paths(plugins)).rows("metric")
    sound = [
        [row.name, row.plugin.title, _range(row.plugin), row.plugin.better, _needs(row.plugin),
         _first_line(row.plugin)]
        for row in rows if row.plugin
    ]  # fmt: skip
    _table(["metric", "title", "range", "better", "needs", "what it is"], sound)
    _broken("metric", rows)
    for row in rows:
        if row.plugin and (why := row.plugin.missing()):
            click.echo(f"\n{row.name} cannot be computed here: {why}")


@list_.command("models")
def list_models() -> None:
    """Model presets; any hub id or folder works too."""
    from lampbench.engine.models import MODEL_PRESETS

    _table(
        ["model", "location"], [[spec.name, str(spec.location)] for spec in MODEL_PRESETS.values()]
    )


@list_.command("runs")
@options.results
def list_runs(results: Path) -> None:
    """Recorded runs, and folders that are none."""
    from lampbench.record.runs import load_runs

    runs, problems = load_runs(results)
    rows: list[list[Any]] = []
    for run in runs:
        manifest = run.manifest
        rouge = manifest.mean("rougeL")
        rows.append([manifest.task, manifest.model, manifest.method, manifest.seed,
                     manifest.preset, "-" if rouge is None else f"{rouge:.3f}",
                     manifest.key])  # fmt: skip
    _table(["task", "model", "method", "seed", "preset", "ROUGE-L", "run"], rows)
    for problem in problems:
        click.echo(str(problem), err=True)


@click.group()
def show() -> None:
    """Show a method or a task in full."""


@show.command("method")
@click.argument("name")
@click.option("--task", required=True, metavar="NAME", help="Task whose defaults apply.")
@click.option(
    "--model",
    default="bundled",
    show_default=True,
    metavar="MODEL",
    help="Model whose preset stands beside the paper's.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@options.hyper
@options.plugins
def show_method(
    name: str,
    task: str,
    model: str,
    form: str,
    preset: str | None,
    assignments: tuple[str, ...],
    config: Path | None,
    fidelity: str,
    plugins: tuple[str, ...],
) -> None:
    """The parts of a method and every hyper-parameter, with its source.

    The paper's values come first; where the model's own preset differs, its value stands beside.
    """
    from lampbench.execution.options import read_overrides, resolve_method
    from lampbench.paper.presets import default_preset
    from lampbench.plugin.hyperparameter import reject_unknown
    from lampbench.registry import Registry, plugin_paths

    registry = Registry(plugin_paths(plugins))
    method, asked = registry.method(name), registry.task(task)
    given = read_overrides(config, assignments)
    used = preset or default_preset(model, fidelity)
    columns = list(dict.fromkeys([preset or "paper", used]))
    resolved = {column: resolve_method(method, asked, column, given)[1] for column in columns}
    reject_unknown(given, set(resolved[used]))
    if form == "json":
        click.echo(json.dumps(_as_json(name, task, resolved), indent=1))
        return
    click.echo(f"{name}: {method.title} ({type(method).__module__})\n{_first_line(method)}\n")
    for choice in ("prompting", "adaptation", "decoding"):
        click.echo(f"  {choice:<11} {_choice(getattr(method, choice))}")
    click.echo()
    first, *others = resolved.values()
    rows: list[list[Any]] = [
        [path, _plain(setting.value), setting.source,
         *("" if other[path].value == setting.value else _plain(other[path].value)
           for other in others), setting.doc]
        for path, setting in sorted(first.items())
    ]  # fmt: skip
    _table(["hyper-parameter", columns[0], "source", *columns[1:], "meaning"], rows)
    if others:
        click.echo(
            f"\nRuns of {model} use the preset {used!r}; --preset {columns[0]} changes that."
        )


@show.command("task")
@click.argument("name")
@options.plugins
def show_task(name: str, plugins: tuple[str, ...]) -> None:
    """A task's fields, prompt and formats."""
    from lampbench.registry import Registry, plugin_paths

    task = Registry(plugin_paths(plugins)).task(name)
    click.echo(f"{name}: {task.title} ({task.family} family)\n{_first_line(task)}\n")
    rows: list[list[Any]] = [
        ["fields", ", ".join([*task.fields, *(f"{name} (optional)" for name in task.optional)])],
        ["target", task.target_name],
        ["shortened first", task.shorten],
        ["max_new_tokens", task.max_new_tokens],
        ["LaMP / OPPU files", task.files.task_id if task.files else "-"],
        ["LongLaMP config", task.hub.config if task.hub else "-"],
        ["system", task.system],
        ["prompt", task.template],
        ["a past record", task.example],
    ]
    _table(["", ""], rows)


def _list_plugins(kind: Any, plugins: tuple[str, ...]) -> None:
    from lampbench.registry import Registry, plugin_paths

    rows = Registry(plugin_paths(plugins)).rows(kind)
    sound = [[row.name, row.plugin.title, _first_line(row.plugin), row.origin]
             for row in rows if row.plugin]  # fmt: skip
    _table([kind, "title", "what it is", "from"], sound)
    _broken(kind, rows)


def _broken(kind: str, rows: list[Any]) -> None:
    if broken := [[row.name, row.error] for row in rows if row.error]:
        click.echo()
        _table([f"broken {kind}", "cause"], broken)


def _range(metric: Any) -> str:
    return f"{metric.low:g} to {metric.high:g}" if metric.high is not None else f"{metric.low:g} up"


def _needs(metric: Any) -> str:
    reads = {"reference": metric.compares, "history": metric.reads_history}
    return ", ".join(name for name, needed in reads.items() if needed)


def _as_json(name: str, task: str, resolved: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Hyper-parameters by path, each with its value and source under every preset shown."""
    listed: dict[str, Any] = {}
    for preset, settings in resolved.items():
        for path, setting in settings.items():
            entry = listed.setdefault(path, {"doc": setting.doc, "presets": {}})
            entry["presets"][preset] = {"value": setting.value, "source": setting.source}
    return {"method": name, "task": task, "hyperparameters": listed}


def _first_line(plugin: Any) -> str:
    return (type(plugin).__doc__ or "").strip().partition("\n")[0]


def _choice(part: Any) -> str:
    """A part and the parts inside it, as one expression."""
    from lampbench.plugin.hyperparameter import child_parts

    if part is None:
        return "none"
    inside = ", ".join(f"{name}={_choice(child)}" for name, child in child_parts(part))
    return f"{type(part).__name__}({inside})"


def _plain(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else f"{value}"


def _table(heads: list[str], rows: list[list[Any]]) -> None:
    from tabulate import tabulate

    click.echo(tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True))
