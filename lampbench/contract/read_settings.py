"""Whether the code of a plugin reads a hyper-parameter, found in its source without running it."""

import ast
from collections.abc import Iterable, Iterator

from lampbench.contract.fresh_copy import source_of
from lampbench.plugin.hyperparameter import Part


def is_read(name: str, classes: Iterable[type]) -> bool:
    """Whether a file of one of the classes, or of what they extend, reads an attribute `name`."""
    bases = {base for kind in classes for base in kind.__mro__}
    files = {
        source_of(base) for base in bases if base.__module__ not in ("builtins", Part.__module__)
    }
    return any(
        name in _attributes(ast.parse(file.read_bytes())) for file in files if file is not None
    )


def _attributes(tree: ast.Module) -> set[str]:
    """The attributes whose values are used; a method that is called is not one of them."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return set(_names(tree, called))


def _names(tree: ast.Module, called: set[int]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if id(node) not in called:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            yield from (str(one.value) for one in node.args[1:2] if isinstance(one, ast.Constant))
