"""`lampbench show`: a method, a task or a prompt in full."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Group, argument, option
from lampbench.cli.names import ModelName, PluginName
from lampbench.cli.output import echo_json, screen_width, table, wrap
from lampbench.cli.plugin_records import choices, first_line
from lampbench.cli.values import SEED

if TYPE_CHECKING:
    from lampbench.study.shown_prompts import ShownPrompt

Resolved = Mapping[str, Mapping[str, Any]]
"""Settings by path, by preset."""
_VALUE = 10
"""Width of a column of values; lists are wrapped."""


@click.group(cls=Group)
def show() -> None:
    """Show a method, a task or a prompt in full."""


@show.command("method")
@argument("name", type=PluginName("method"))
@option("--task", required=True, metavar="NAME", heading=options.SHOWN, type=PluginName("task"),
        help="Task whose default values apply.")  # fmt: skip
@option("--model", default="bundled", show_default=True, metavar="MODEL", heading=options.SHOWN,
        type=ModelName(), help="Model whose preset is shown beside the paper's.")  # fmt: skip
@options.plugins
@options.hyper
@options.output_format
def show_method(
    name: str,
    task: str,
    model: str,
    plugins: tuple[str, ...],
    preset: str | None,
    assignments: tuple[str, ...],
    config: Path | None,
    fidelity: str,
    form: str,
) -> None:
    """Show a method's parts and its hyper-parameters: value, meaning and source of each.

    The paper's values come first. Where the model's own preset differs, its value is beside them.
    """
    from lampbench.engine.models import MODEL_PRESETS
    from lampbench.execution.options import read_overrides, resolve_method
    from lampbench.paper.presets import default_preset
    from lampbench.plugin.hyperparameter import reject_unknown
    from lampbench.registry import Registry, plugin_paths

    registry = Registry(plugin_paths(plugins))
    method, asked = registry.method(name), registry.task(task)
    given = read_overrides(config, assignments)
    used = preset or default_preset(MODEL_PRESETS.get(model.partition("@")[0]), fidelity)
    columns = list(dict.fromkeys([preset or "paper", used]))
    resolved = {column: resolve_method(method, asked, column, given)[1] for column in columns}
    reject_unknown(given, set(resolved[used]))
    if form == "json":
        echo_json({
            "method": name, "title": method.title or name, "description": first_line(method),
            **choices(method), "task": task, "model": model, "preset": used,
            "hyperparameters": _as_json(resolved),
        })  # fmt: skip
        return
    title = f"{name}: {method.title or name} ({_file_of(type(method))})"
    click.echo(wrap(title, screen_width()))
    click.echo(f"{wrap(first_line(method), screen_width())}\n")
    click.echo(_labelled(choices(method)))
    click.echo(f"\n{_settings(resolved)}")
    if len(columns) > 1:
        click.echo(
            f"\nAn empty cell under {used}: the value is the one under {columns[0]}.\n"
            f"Runs of {model} use the preset {used!r}; --preset {columns[0]} changes that."
        )


@show.command("prompt")
@argument("name", type=PluginName("method"))
@option("--task", required=True, metavar="NAME", heading=options.SHOWN, type=PluginName("task"),
        help="Task of the query.")  # fmt: skip
@option("--model", default="bundled", show_default=True, metavar="MODEL", heading=options.SHOWN,
        type=ModelName(), help="Model whose tokenizer and chat template are used.")  # fmt: skip
@option("--user", metavar="ID", heading=options.SHOWN, help="Test user.  [default: the first]")
@option("--query", metavar="ID", heading=options.SHOWN,
        help="Query of the user.  [default: the first]")  # fmt: skip
@option("--seed", type=SEED, default=0, show_default=True, metavar="N", heading=options.SHOWN,
        help="Seed of everything random.")  # fmt: skip
@options.dataset
@options.chat_template
@options.model_args
@options.plugins
@options.hyper
@options.cache_dir
@options.output_format
def show_prompt(name: str, task: str, form: str, **choices: Any) -> None:
    """Show the prompt of a query as the model reads it, and its number of tokens.

    The text has the chat template and its special tokens. Of contrastive methods, the prompt of
    every side is shown. Nothing is trained. A prompt that shows something made by a model, such as
    a profile, needs a run that made it.
    """
    from lampbench import api

    found = api.show_prompt(name, task, **choices)
    if form == "json":
        about = {"method": name, "task": task, "model": choices["model"]}
        echo_json({**about, "prompts": [asdict(each) for each in found]})
        return
    first = found[0]
    click.echo(f"{name} on {task}, {choices['model']}: user {first.user}, query {first.query}")
    for shown in found:
        earlier = [one for one in found[: found.index(shown)] if one.text == shown.text]
        click.echo(f"\n{_heading(shown, found)}")
        click.echo(f"  as {_place(earlier[0], found)}" if earlier else f"\n{shown.text}")


@show.command("task")
@argument("name", type=PluginName("task"))
@options.plugins
@options.output_format
def show_task(name: str, plugins: tuple[str, ...], form: str) -> None:
    """Show a task's fields, prompt and file formats."""
    from lampbench.registry import Registry, plugin_paths

    task = Registry(plugin_paths(plugins)).task(name)
    if form == "json":
        echo_json({
            "task": name, "title": task.title, "description": first_line(task),
            "family": task.family, "fields": list(task.fields), "optional": list(task.optional),
            "target": task.target_name, "shortened_first": task.shorten,
            "max_new_tokens": task.max_new_tokens,
            "lamp_id": task.files.task_id if task.files else None,
            "longlamp_config": task.hub.config if task.hub else None,
            "system": task.system, "prompt": task.template, "past_record": task.example,
            "record_fields": list(task.fields_of_records), "record_prompt": task.record_template,
            "choices": list(task.choices), "metrics": list(task.metrics),
        })  # fmt: skip
        return
    fields = [*task.fields, *(f"{field} (optional)" for field in task.optional)]
    click.echo(
        f"{name}: {task.title} ({task.family} family)\n{wrap(first_line(task), screen_width())}\n"
    )
    rows = {
        "fields": ", ".join(fields),
        "target": task.target_name,
        "shortened first": task.shorten,
        "max_new_tokens": str(task.max_new_tokens),
        "LaMP / OPPU files": task.files.task_id if task.files else "-",
        "LongLaMP config": task.hub.config if task.hub else "-",
        "system": task.system,
        "prompt": task.template,
        "a past record": task.example,
    }
    if task.record_fields is not None:
        rows["its fields"] = ", ".join(task.record_fields) or "-"
        rows["its own prompt"] = task.record_template or "- (nothing can be trained on it)"
    rows |= {"choices": ", ".join(task.choices)} if task.choices else {}
    rows |= {"own metrics": ", ".join(task.metrics)} if task.metrics else {}
    click.echo(_labelled(rows))


def _file_of(kind: type) -> str:
    """Where a class is written, as seen from the working folder."""
    file = Path(inspect.getfile(kind))
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def _heading(shown: "ShownPrompt", found: "Sequence[ShownPrompt]") -> str:
    """Which prompt it is, who reads it, and how long it is."""
    reader = " + ".join(shown.weights) or "the model as it is"
    dropped = f", {shown.dropped} were cut so that it fits" if shown.dropped else ""
    return f"{_place(shown, found)}, read by {reader}: {shown.tokens} tokens{dropped}"


def _place(shown: "ShownPrompt", found: "Sequence[ShownPrompt]") -> str:
    words = [f"request {shown.request}"] if found[-1].request > 1 else []
    words += [f"side {shown.side}"] if max(one.side for one in found) > 1 else []
    return ", ".join(words) or "prompt"


def _labelled(rows: Mapping[str, str]) -> str:
    """Texts beside their labels, each line of a text wrapped."""
    width = max(map(len, rows))
    shown = []
    for label, text in rows.items():
        lines = "\n".join(wrap(line, screen_width() - width - 4) for line in text.splitlines())
        shown.append(f"  {label:<{width}}  " + lines.replace("\n", f"\n{'':{width + 4}}"))
    return "\n".join(shown)


def _settings(resolved: Resolved) -> str:
    """A table of settings: the values of the first preset, then where another preset differs."""
    first, *others = resolved.values()
    rows = [
        [path, _plain(setting.value),
         *("" if other[path].value == setting.value else _plain(other[path].value)
           for other in others),
         f"{setting.doc} [{setting.source}]"]
        for path, setting in sorted(first.items())
    ]  # fmt: skip
    heads = ["hyper-parameter", *resolved, "meaning [source]"]
    return table(heads, rows, dict.fromkeys(range(1, len(heads) - 1), _VALUE))


def _as_json(resolved: Resolved) -> dict[str, Any]:
    """Hyper-parameters by path, each with its value and source under every preset shown."""
    listed: dict[str, Any] = {}
    for preset, settings in resolved.items():
        for path, setting in settings.items():
            entry = listed.setdefault(path, {"doc": setting.doc, "presets": {}})
            entry["presets"][preset] = {"value": setting.value, "source": setting.source}
    return listed


def _plain(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else f"{value}"
