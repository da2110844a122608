"""Numbers in a plugin's file that change its answers without being hyper-parameters.

Each number is replaced by another one in a copy of the file, and the copy is run. This finds what
a number in the code decides on the trial's data; it does not find what depends on other data, nor
constants of other files.
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from lampbench.contract.fresh_copy import source_of
from lampbench.contract.subject import Subject
from lampbench.contract.trial import Outcome
from lampbench.contract.verdict import CheckResult, note, passed, skipped

_MOST = 40
"""Numbers that are tried per file."""
_STRUCTURAL = (0, 1, -1)
"""First, last, next, none: they say how code works and not how much of something there is."""
_NOT_RESULTS = ("version", "digits")
"""Attributes of classes that no answer depends on."""


def check_constants(subject: Subject, usual: Outcome, trial: Callable[..., Outcome]) -> CheckResult:
    """Name each number that changes answers; a note, since a number may be right where it is."""
    check, file = "constants", source_of(subject.found)
    if file is None or subject.found.__module__.startswith("lampbench.plugin."):
        return skipped(check, "there is no file of the plugin's own")
    numbers = list(_numbers(ast.parse(file.read_bytes())))[:_MOST]
    found = [
        f"{file}:{line} ({value})"
        for line, column, value in numbers
        if _matters(subject, usual, trial, line, column)
    ]
    if found:
        return note(
            check,
            f"{', '.join(found)}: changes answers and is no hyper-parameter; declare it with "
            "hyper() so that it can be set, is shown by `lampbench show` and is recorded",
        )
    return passed(check, f"of {len(numbers)} numbers in the file none decides answers undeclared")


def _matters(
    subject: Subject, usual: Outcome, trial: Callable[..., Outcome], line: int, column: int
) -> bool:
    """Whether answers change with the number, and no hyper-parameter does."""
    try:
        found: Outcome = trial(subject.fresh(lambda tree: _changed(tree, line, column)))
    except Exception:  # another number may break the code in any way: it says nothing
        return False
    return _values(found) == _values(usual) and found.answers != usual.answers


def _values(outcome: Outcome) -> dict[str, Any]:
    return {path: setting.value for path, setting in outcome.settings.items()}


def _changed(tree: ast.Module, line: int, column: int) -> ast.Module:
    """The tree with another number at one place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and (node.lineno, node.col_offset) == (line, column):
            if isinstance(node.value, int):
                node.value += 1
            elif isinstance(node.value, float):
                node.value = node.value * 1.5 + 0.1
    return tree


def _numbers(tree: ast.Module) -> Iterator[tuple[int, int, float]]:
    """Line, column and value of each number that could be a setting."""
    for node in _expressions(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, (int, float))
            and not isinstance(node.value, bool)
            and node.value not in _STRUCTURAL
        ):
            yield node.lineno, node.col_offset, node.value


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, but for declarations, annotations and decorators."""
    yield node
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "hyper":
        return
    if isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in _NOT_RESULTS for target in node.targets
    ):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _expressions(child)
