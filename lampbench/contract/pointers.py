"""Lines of a plugin's file that are likely to be at fault: pointers for messages, no verdicts."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

_RANDOM = ("random.", "np.random.", "numpy.random.", "torch.rand", "torch.randn", "torch.randperm",
           "torch.multinomial", "time.", "datetime.", "uuid.", "secrets.", "os.urandom",
           "os.environ", "os.getpid")  # fmt: skip
_SOUND = ("random.Random", "np.random.default_rng", "numpy.random.default_rng", "time.sleep")
_PER_PROCESS = ("hash", "id")
_UNORDERED = ("set", "frozenset")
_CHANGES = ("append", "add", "update", "extend", "insert", "pop", "remove", "clear", "setdefault",
            "discard", "appendleft", "popitem")  # fmt: skip
_REMEMBERS = ("cache", "lru_cache", "cached_property")


def chance_lines(file: Path | None) -> str:
    """Lines that may give another result in another process or at another time."""
    return _listed(file, _chance)


def memory_lines(file: Path | None) -> str:
    """Lines of functions that keep something on `self`, a class or the module."""
    return _listed(file, _memory)


def group_lines(file: Path | None) -> str:
    """Lines that compute something from all of `users`, or from one of them by its place."""
    return _listed(file, lambda tree: _computed_from(tree, lambda node: _is_name(node, "users")))


def place_lines(file: Path | None) -> str:
    """Lines that depend on the place of a user in `context.dataset`."""
    return _listed(file, lambda tree: _computed_from(tree, _is_users_of_dataset))


def _listed(file: Path | None, find: Callable[[ast.Module], Iterator[tuple[int, str]]]) -> str:
    """`FILE:LINE (what)` of at most three lines, or nothing."""
    if file is None:
        return ""
    found = sorted(set(find(ast.parse(file.read_bytes()))))
    return ", ".join(f"{file}:{line} ({what})" for line, what in found[:3])


def _chance(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in (*_PER_PROCESS, *_UNORDERED) or (
                called.startswith(_RANDOM) and not called.startswith(_SOUND)
            ):
                yield node.lineno, f"{called}()"
        elif isinstance(node, (ast.Set, ast.SetComp)):
            yield node.lineno, "a set has no order"


def _computed_from(
    tree: ast.Module, wanted: Callable[[ast.AST], bool]
) -> Iterator[tuple[int, str]]:
    """Calls on what is wanted or on a comprehension over it, and elements of it by their place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and wanted(node.value):
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and not _asks_the_context(node):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(wanted(one) or _runs_over(one, wanted) for one in given):
                yield node.lineno, f"{ast.unparse(node):.60}"


def _runs_over(node: ast.AST, wanted: Callable[[ast.AST], bool]) -> bool:
    comprehensions = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
    return isinstance(node, comprehensions) and any(wanted(one.iter) for one in node.generators)


def _asks_the_context(call: ast.Call) -> bool:
    function = call.func
    return isinstance(function, ast.Attribute) and _is_name(function.value, "context")


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_users_of_dataset(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("test_users", "train_users")


def _memory(tree: ast.Module) -> Iterator[tuple[int, str]]:
    shared = {
        target.id
        for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }  # fmt: skip
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name == "__init__":
            continue
        for decorator in function.decorator_list:
            name = ast.unparse(decorator).partition("(")[0].rpartition(".")[2]
            if name in _REMEMBERS:
                yield decorator.lineno, f"@{name}"
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield node.lineno, ast.unparse(node)
            elif isinstance(node, (ast.Assign, ast.AugAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if not isinstance(target, ast.Name) and _is_shared(target, shared):
                        yield node.lineno, ast.unparse(target)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _CHANGES
                and _is_shared(node.func.value, shared)
            ):
                yield node.lineno, ast.unparse(node.func)


def _is_shared(node: ast.expr, shared: set[str]) -> bool:
    """Whether what is changed hangs on `self`, `cls` or a variable of the module."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name) and node.id in {"self", "cls", *shared}
