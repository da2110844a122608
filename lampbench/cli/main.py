"""The `lampbench` command: imports a subcommand when it is called; errors are one line."""

import contextlib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO, cast

import click
from click.shell_completion import CompletionItem

from lampbench.cli.command import Group, remember_arguments, takes_value
from lampbench.cli.renamed import TABLES, current_command
from lampbench.util.disk import is_full
from lampbench.util.errors import LampbenchError, OutOfBudget, suggestion
from lampbench.util.interrupt import TIME_IS_OVER, Stopped, stopping_on_signals
from lampbench.util.terminal import LONGEST, REWRITE, SafeStream, message_line, rewrites
from lampbench.util.version import VERSION

COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Run experiments": {
        "run": ("run:run", "Run methods on tasks and record the runs."),
        "plan": ("plan:plan", "Estimate time, memory, disk and traffic of a study."),
        "sweep": ("sweep:sweep", "Run every point of a grid of hyper-parameters."),
        "reproduce": ("reproduce:reproduce", "Plan the paper's experiments, or run them."),
        "score": ("score:score", "Score recorded runs again, without a model."),
    },
    "Look at recorded runs": {
        "overview": ("overview:overview", "Compare methods on one task, with one example."),
        "examples": ("examples:examples", "Print answers of several methods side by side."),
        "browse": ("browse:browse", "Leaf through answers in a terminal."),
        "compare": ("compare:compare", "Compare two runs, and show why they may differ."),
        "diagnose": ("diagnose:diagnose", "Measure what each training stage learned."),
    },
    "Make tables and pages": {
        "leaderboard": ("leaderboard:leaderboard", "Write the leaderboard and all tables."),
        "table": ("table:table", "Print one table."),
        "report": ("report:report", "Write one HTML page."),
    },
    "Look things up": {
        "list": ("list:list_", "List methods, tasks, metrics, models or recorded runs."),
        "show": ("show:show", "Show a method, a task or a prompt in full."),
        "engines": ("engines:engines", "List engines, and what is missing here."),
    },
    "Write plugins": {
        "new": ("new:new", "Write a working plugin to begin with."),
        "check": ("check:check", "Check whether a plugin keeps the contract."),
    },
    "Look after files": {
        "cache": ("cache:cache", "List, clean up or verify what is stored for later runs."),
        "doctor": ("doctor:doctor", "Check this machine, and a model."),
    },
    "Share runs": {
        "submit": ("submit:submit", "Write recorded runs as a submission to the board."),
        "verify": ("verify:verify", "Check what a submission claims."),
    },
    "Bring data in and out": {
        "data": ("data:data", "Describe, audit or import a dataset."),
        "import": ("import_:import_", "Record predictions or runs that were made elsewhere."),
        "forget": ("forget:forget", "Remove a user from recorded runs and the cache."),
        "export": ("export:export", "Write predictions for LaMP's evaluation, or runs to the hub."),
    },
}
"""Heading -> command -> module and object, and its line in the main help."""

_COMPLETING = "_LAMPBENCH_COMPLETE"
_PLACES = {name: entry for section in COMMANDS.values() for name, entry in section.items()}


class _LazyGroup(Group):
    """Imports a subcommand's module when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _PLACES:
            return None
        module, _, name = _PLACES[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"lampbench.cli.{module}"), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        remember_arguments(ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, *rest = args
        if name == TABLES:
            known: dict[str, bool] = {}
            for new in ("leaderboard", "table"):
                if command := self.get_command(ctx, new):
                    known |= takes_value(command, ctx)
            name, said = current_command(name, rest, known)
            if said and not ctx.resilient_parsing:
                click.echo(said, err=True)
        if name not in _PLACES and not ctx.resilient_parsing and not name.startswith("-"):
            raise LampbenchError(f"no command is called {name!r}: {suggestion(name, _PLACES)}")
        return super().resolve_command(ctx, [name, *rest])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _PLACES))
        for heading, section in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{k:{width}}", text) for k, (_, text) in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for name, (_, text) in _PLACES.items()
            if name.startswith(incomplete)
        ]


_EXAMPLES = """\b
Examples:
  lampbench run --method cope --task news_headline
  lampbench list methods
  lampbench table main
"""


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from platform import python_version

    from lampbench.util.machine import releases

    torch = releases(["torch"])["torch"] or "not installed"
    click.echo(f"lampbench {VERSION} (Python {python_version()}, torch {torch})")
    ctx.exit()


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True,
              callback=_print_version, help="Show versions and exit.")  # fmt: skip
def cli() -> None:
    """Evaluate methods of personalized text generation."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0: done; 1: a check failed, or a bug; 2: bad input, a plugin's fault or a full disk, told in one
    line, or a plugin that breaks the contract;
    75: the time of --max-hours is over, or a budget of tokens or money is spent;
    128 + its number (130, 143, 129): ended by a signal.
    """
    with _safe_streams(), stopping_on_signals():
        status = _status(arguments)
    sys.exit(status)


@contextlib.contextmanager
def _safe_streams() -> Iterator[None]:
    """Show control characters in texts of others, which a terminal would obey.

    Files and pipes too: their content may be shown on a terminal later. Lines on standard error
    are messages: none is longer than `LONGEST`.
    """
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, SafeStream(sys.stdout))
    sys.stderr = cast(TextIO, SafeStream(sys.stderr, LONGEST))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _status(arguments: Sequence[str] | None) -> int:
    try:
        if _COMPLETING in os.environ:
            importlib.import_module("lampbench.cli.shells")  # registers its classes with click
        status = int(cli.main(arguments, prog_name="lampbench", standalone_mode=False) or 0)
        sys.stdout.flush()  # so that a full disk is an error here, not at exit
        return status
    except OutOfBudget as error:
        return _say(f"stopped: {error}", TIME_IS_OVER)
    except (LampbenchError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        return _say(f"error: {text}", 2)
    except Stopped as stopped:
        return _say(_end(stopped, sys.argv[1:] if arguments is None else arguments), stopped.code)
    except (KeyboardInterrupt, click.Abort):
        return _say("Interrupted.", 130)
    except OSError as error:
        return _refused_by_the_system(error)
    except Exception as error:
        return _bug(error)


_RESUMING = {"run", "sweep", "reproduce"}


def _end(stopped: Stopped, arguments: Sequence[str]) -> str:
    """What to say about an early end; `arguments` tell whether the command resumes."""
    why = "The time of --max-hours is over." if stopped.code == TIME_IS_OVER else "Interrupted."
    resumes = next((word for word in arguments if not word.startswith("-")), "") in _RESUMING
    return f"{why} Run the same command again to resume." if resumes else why


_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_STRANGE = "it was changed by something else, or is not what belongs there; move it and try again"


def _refused_by_the_system(error: OSError) -> int:
    if error.errno == errno.EPIPE:  # the reader has closed the pipe
        _close_stdout()
        return 1
    if is_full(error):
        _close_stdout()
        where = f"{error.filename}: " if error.filename else ""
        return _say(
            f"error: {where}no space left; free some space and run the same command again", 2
        )
    if error.errno == errno.ENAMETOOLONG:
        return _say(f"error: {error.filename}: this name is too long for a file", 2)
    if (path := error.filename2 or error.filename) is None:
        return _bug(error)
    _show_traceback()
    remedy = "check its permissions" if error.errno in _FORBIDDEN else _STRANGE
    return _say(f"error: {path}: {error.strerror}; {remedy}", 2)


def _bug(error: Exception) -> int:
    _show_traceback()
    if told := _fault_of_plugin(error):
        return _say(f"error: a plugin failed {told}", 2)
    return _say(
        f"bug in lampbench or a plugin: {type(error).__name__}: {error} (LAMPBENCH_TRACEBACK=1 "
        "shows where; finished work is kept)",
        1,
    )


def _show_traceback() -> None:
    if os.environ.get("LAMPBENCH_TRACEBACK"):
        traceback.print_exc()


def _fault_of_plugin(error: Exception) -> str | None:
    """What to say of an exception in a plugin's code; None where no plugin is at fault."""
    if "lampbench.registry" not in sys.modules:
        return None
    from lampbench.plugin.fault import fault_of_plugin

    return fault_of_plugin(error)


def _say(text: str, status: int) -> int:
    """Print one line on standard error, but nothing while a shell completes a command."""
    if _COMPLETING not in os.environ:
        progress = REWRITE if rewrites(sys.stderr) else ""  # a line of it may be unfinished
        click.echo(progress + message_line(text), err=True)
    return status


def _close_stdout() -> None:
    """Discard unwritten output, which Python would otherwise try to write again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
