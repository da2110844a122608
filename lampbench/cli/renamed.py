"""Names that the command line had one version ago. They still work and print the new name.

Delete an entry when its version has passed, and this file with the last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class RenamedOption:
    """The option `old`, which takes a value, is now called `new`.

    With `values` (old value -> new value) only those values are old; any other value belongs to
    an option of today that has the old name.
    """

    old: str
    new: str
    values: Mapping[str, str] | None = None

    def applies(self, name: str, value: str) -> bool:
        """Whether `name` with `value` is the old spelling."""
        return name == self.old and (self.values is None or value in self.values)

    def spelled(self, value: str) -> tuple[str, str, str]:
        """The new name, the new value, and the line that says so."""
        if self.values is None:
            return self.new, value, renamed(self.old, self.new)
        now = self.values[value]
        return self.new, now, renamed(f"{self.old} {value}", f"{self.new} {now}")


OPTIONS = (
    RenamedOption("--part", "--split"),
    RenamedOption("--split", "--split-by", {"user": "user", "time": "time"}),
    RenamedOption("--backend", "--engine", {"many": "batched", "reference": "reference"}),
    RenamedOption("--store", "--cache-dir"),
    RenamedOption("--template", "--chat-template"),
    RenamedOption("--only", "--experiment"),
    RenamedOption("--format", "--format", {"table": "text"}),
)

ENVIRONMENT = {"LAMPBENCH_CACHE_DIR": "LAMPBENCH_STORE"}
"""New name -> old name."""

TABLES = "tables"
"""The command that is now `table NAME`, or `leaderboard` where no table is named."""


def renamed(old: str, new: str) -> str:
    """The line on standard error that names the new spelling."""
    return f"note: {old} is now {new}; the old name will be removed in the next version"


def current_arguments(
    arguments: Sequence[str], takes_value: Mapping[str, bool], quiet: bool = False
) -> list[str]:
    """The arguments of a command with every old option name replaced by the new one.

    `takes_value` says of each option of the command whether a value follows it. An option is
    replaced only in commands that have the new one, and a value is never taken for an option.
    Each replacement is printed on standard error once. `quiet`, for completion, prints nothing
    and leaves out a last option without its value, with which click would parse no arguments.
    """
    options = [each for each in OPTIONS if each.new in takes_value]
    old_names = {each.old for each in options}
    found: list[str] = []
    said: dict[str, None] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            found += [argument, *rest]
            break
        name, sign, value = argument.partition("=")
        if not sign and (name in old_names or takes_value.get(name)):
            following = next(rest, None)
            if following is None:
                found += [] if quiet else [_new_name(name, options)]
                break
            value = following
        elif name not in old_names:
            found.append(argument)
            continue
        for option in options:
            if option.applies(name, value):
                name, value, line = option.spelled(value)
                said[line] = None
                break
        found += [f"{name}={value}"] if sign else [name, value]
    for line in () if quiet else said:
        click.echo(line, err=True)
    return found


def _new_name(name: str, options: Sequence[RenamedOption]) -> str:
    """The new name of an option without its value, where the value does not decide it."""
    return next((each.new for each in options if each.old == name and not each.values), name)


def current_command(
    name: str, arguments: Sequence[str], takes_value: Mapping[str, bool]
) -> tuple[str, str | None]:
    """The command of today that an old command name means, and the line that says so, if any.

    `takes_value` says of each option of the old command whether a value follows it.
    """
    if name != TABLES:
        return name, None
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            return "table", renamed(f"lampbench {TABLES} {argument}", f"lampbench table {argument}")
        if takes_value.get(argument):
            next(rest, None)
    return "leaderboard", renamed(f"lampbench {TABLES}", "lampbench leaderboard")
