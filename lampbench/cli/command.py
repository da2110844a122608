"""Commands and options of our own kind: options under headings, and old names that still work."""

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import click

from lampbench.cli.renamed import ENVIRONMENT, current_arguments, renamed
from lampbench.cli.values import texts_of, wrong_text
from lampbench.util.errors import LampbenchError

OTHER = "Other options"
_ARGUMENTS = "lampbench.cli.arguments"


def _require_lines(parameter: click.Parameter, ctx: click.Context, value: Any) -> None:
    """Refuse texts that no option or argument takes, before they are looked at.

    Raises:
        click.BadParameter: a text is empty, too long, or not one line.
    """
    path = isinstance(parameter.type, click.Path)
    for text in texts_of(value):
        if problem := wrong_text(text, path):
            raise click.BadParameter(problem, ctx, parameter)


def _require_once(given: Sequence[click.Parameter], ctx: click.Context) -> None:
    """Refuse a second value of an option that takes one: click drops the first in silence.

    Raises:
        click.BadParameter: an option of one value was given twice.
    """
    for parameter, times in Counter(given).items():
        single = isinstance(parameter, Option) and not parameter.multiple and not parameter.is_flag
        if single and times > 1:
            raise click.BadParameter("is given twice; give it once.", ctx, parameter)


class Option(click.Option):
    """An option with a heading in the help of its command; its values are texts of one line."""

    def __init__(self, *arguments: Any, heading: str = OTHER, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Default and whether it is required, but not the range, which errors name in words."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """As click does, for texts of one line."""
        _require_lines(self, ctx, value)
        return super().type_cast_value(ctx, value)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of the option's environment variable, or of the one it had before."""
        found = super().resolve_envvar_value(ctx)
        old = ENVIRONMENT.get(self.envvar) if isinstance(self.envvar, str) else None
        if found is not None or not old or not os.environ.get(old):
            return found
        if not ctx.resilient_parsing:
            click.echo(renamed(old, str(self.envvar)), err=True)
        return os.environ[old]


class Argument(click.Argument):
    """An argument whose values are texts of one line."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """As click does, for texts of one line."""
        _require_lines(self, ctx, value)
        return super().type_cast_value(ctx, value)


class Command(click.Command):
    """A command whose help shows its options under headings and that takes old option names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, after old option names were replaced; one value is not given twice."""
        current = current_arguments(args, takes_value(self, ctx), ctx.resilient_parsing)
        if not ctx.resilient_parsing:
            _require_once(self.make_parser(ctx).parse_args(list(current))[2], ctx)
        return super().parse_args(ctx, current)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, in the order in which headings first appear.

        Those without a subject of their own come last.
        """
        headings: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                headings[getattr(parameter, "heading", OTHER)].append(record)
        for heading, records in sorted(headings.items(), key=lambda item: item[0] == OTHER):
            with formatter.section("Options" if len(headings) == 1 else heading):
                formatter.write_dl(records)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; without arguments the help is what was asked for."""
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; what is not there is named beside what is."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not ctx.resilient_parsing and not name.startswith("-"):
            raise LampbenchError(
                f"{ctx.command_path} has no command {name!r}: there are {', '.join(known)}"
            )
        return super().resolve_command(ctx, args)


def takes_value(command: click.Command, ctx: click.Context) -> dict[str, bool]:
    """The option names of a command, each with whether a value follows it."""
    return {
        name: not (option.is_flag or option.count)
        for option in command.get_params(ctx)
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }


def option(*names: str, heading: str = OTHER, **settings: Any) -> Callable[[Any], Any]:
    """A decorator as `click.option`, with a heading."""
    return click.option(*names, cls=Option, heading=heading, **settings)


def argument(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """A decorator as `click.argument`, for texts of one line."""
    return click.argument(*names, cls=Argument, **settings)


def remember_arguments(ctx: click.Context, arguments: list[str]) -> None:
    """Keep the arguments of the root command for `command_line`."""
    ctx.meta[_ARGUMENTS] = tuple(arguments)


def arguments_given(ctx: click.Context) -> list[str]:
    """The arguments of the root command."""
    return list(ctx.meta.get(_ARGUMENTS, ()))


def command_line() -> str:
    """The command that is running, as it was typed; recorded with the runs that it makes."""
    return shlex.join(["lampbench", *arguments_given(click.get_current_context())])
