"""The `lampbench` command: finds its subcommands lazily, and turns bad input into one line."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from lampbench.util.errors import LampbenchError
from lampbench.util.version import VERSION

_COMMANDS = {
    "run": "lampbench.cli.run:run",
    "sweep": "lampbench.cli.sweep:sweep",
    "reproduce": "lampbench.cli.reproduce:reproduce",
    "list": "lampbench.cli.inspect:list_",
    "show": "lampbench.cli.inspect:show",
    "data": "lampbench.cli.data:data",
    "leaderboard": "lampbench.cli.leaderboard:leaderboard",
    "table": "lampbench.cli.table:table",
    "report": "lampbench.cli.report:report",
    "examples": "lampbench.cli.examples:examples",
    "compare": "lampbench.cli.compare:compare",
    "diagnose": "lampbench.cli.diagnose:diagnose",
    "overview": "lampbench.cli.overview:overview",
    "score": "lampbench.cli.score:score",
    "import": "lampbench.cli.exchange:import_",
    "export": "lampbench.cli.exchange:export",
}


class _LazyGroup(click.Group):
    """Imports a subcommand's module when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


_EXAMPLES = """\b
lampbench run --method cope --task news_headline
lampbench list methods
lampbench leaderboard
"""


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXAMPLES,
)
@click.version_option(VERSION, prog_name="lampbench")
def cli() -> None:
    """Evaluate methods of personalized text generation."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0: done; 1: a check failed, or a fault of lampbench; 2: bad input, told in one line;
    130: interrupted.
    """
    sys.exit(_status(arguments))


def _status(arguments: Sequence[str] | None) -> int:
    try:
        return int(cli.main(arguments, prog_name="lampbench", standalone_mode=False) or 0)
    except (LampbenchError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"error: {' '.join(text.split())}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; the same command goes on where this one ended", err=True)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  (nobody reads any more)
        return 1
    except Exception as error:
        if os.environ.get("LAMPBENCH_TRACEBACK"):
            traceback.print_exc()
        click.echo(
            f"fault in lampbench: {type(error).__name__}: {' '.join(str(error).split())} "
            "(LAMPBENCH_TRACEBACK=1 shows where; what was finished is kept)",
            err=True,
        )
        return 1


if __name__ == "__main__":
    main()
