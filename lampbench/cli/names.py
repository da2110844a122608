"""Types of options and arguments that a shell can complete: plugins, models, runs, settings.

Completion reads names only: it imports no torch and opens no recorded run. It never fails: names
that cannot be read are not offered.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from lampbench.plugin.hyperparameter import Part
    from lampbench.registry import Kind, Registry

    _Text = click.ParamType[str]
else:
    _Text = click.ParamType


class _Name(_Text):
    """A text that shells can complete. Any value is accepted; the command checks it."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """The known values that begin with `incomplete`."""
        found: list[CompletionItem[Any]] = []
        with contextlib.suppress(Exception):  # a traceback in the middle of typing helps nobody
            found += [one for one in self.known(ctx, incomplete) if _begins(one, incomplete)]
        return found

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The values to offer, and others, which are left out."""
        raise NotImplementedError


def _begins(item: CompletionItem[Any], incomplete: str) -> bool:
    return item.type != "plain" or str(item.value).startswith(incomplete)


class PluginName(_Name):
    """The name of a method, task, metric or engine; with `every`, also `all`."""

    def __init__(self, kind: "Kind", *, every: bool = False) -> None:
        self._kind: Kind = kind
        self._every = every

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The names of plugins, built in and given with --plugins."""
        yield from map(CompletionItem, _registry(ctx).names(self._kind))
        if self._every:
            yield CompletionItem("all", help=f"every {self._kind}")


class ModelName(_Name):
    """A model: a preset, a hub id or a folder."""

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The presets, or folders where a path was begun."""
        from lampbench.engine.models import MODEL_PRESETS, is_bundled

        if incomplete.startswith((".", "/", "~")):
            yield CompletionItem(incomplete, type="dir")
        for spec in MODEL_PRESETS.values():
            yield CompletionItem(
                spec.name, help="comes with lampbench" if is_bundled(spec) else spec.location
            )


class RunName(_Name):
    """A recorded run: the beginning of its key, or its folder."""

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The keys under --results, or folders where a path was begun."""
        if "/" in incomplete or incomplete.startswith("."):
            yield CompletionItem(incomplete, type="dir")
            return
        results = Path(ctx.params.get("results") or "results")
        for manifest in sorted(results.glob("*/*/*/*/manifest.json")):
            *_, task, model, method, key = manifest.parent.parts
            yield CompletionItem(key, help=f"{method} {task} {model}")


class Assignment(_Name):
    """SECTION.NAME=VALUE, a value of a hyper-parameter."""

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The paths of the methods named so far (of all where none is); then the values."""
        registry = _registry(ctx)
        chosen = [name for name in ctx.params.get("methods") or () if name != "all"]
        name = ctx.params.get("name")
        rules: dict[str, Any] = {}
        for method in chosen or ([name] if name else registry.names("method")):
            with contextlib.suppress(Exception):  # a broken plugin has no settings
                for part in registry.method(method).parts().values():
                    rules.update(_rules(part))
        for path, rule in sorted(rules.items()):
            if incomplete.startswith(f"{path}="):
                yield from (CompletionItem(f"{path}={value}") for value in rule["choices"] or ())
            else:
                yield CompletionItem(f"{path}=", help=rule["doc"])


class ModelArgument(_Name):
    """KEY=VALUE, an argument of loading a model."""

    def known(self, ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[Any]]:
        """The names of arguments, then the values."""
        from lampbench.engine.model_arguments import CHOICES

        for name, values in CHOICES.items():
            if incomplete.startswith(f"{name}="):
                yield from (CompletionItem(f"{name}={value}") for value in values)
            else:
                yield CompletionItem(f"{name}=")


def _rules(part: "Part") -> Iterable[tuple[str, Any]]:
    """Path and rule of each hyper-parameter of a part and of the parts inside it."""
    from lampbench.plugin.hyperparameter import child_parts, hyper_fields

    for path, field in hyper_fields(part):
        yield path, field.metadata["hyper"]
    for _, child in child_parts(part):
        yield from _rules(child)


def _registry(ctx: click.Context) -> "Registry":
    from lampbench.registry import Registry, plugin_paths

    return Registry(
        [path for path in plugin_paths(ctx.params.get("plugins") or ()) if path.exists()]
    )
