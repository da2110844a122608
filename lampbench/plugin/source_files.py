"""The source of a plugin: its file, and the local files that it imports."""

import ast
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from itertools import chain
from os.path import relpath
from pathlib import Path

from lampbench.plugin.installed_files import distribution_of
from lampbench.util.hashing import digest

_HARNESS = "lampbench"


def source_digest(file: Path) -> str:
    """The digest of a Python file and of the local files it imports, directly or through them.

    Local are files of the same package, with the `__init__.py` that a relative import runs, files
    beside one outside any package, and imported modules that neither Python nor an installed
    package brings. Of an installed plugin, they are the files of its own distribution, so that a
    wheel, an editable install and a file have one digest. lampbench is never local. Where the
    folder is does not matter. Data files are not seen, nor is code that is imported under a
    computed name.
    """
    own = distribution_of(file)
    contents: dict[Path, bytes] = {}
    waiting = [file]
    while waiting:
        found = waiting.pop()
        if found not in contents:
            contents[found] = found.read_bytes()
            waiting += _local_imports(found, contents[found], own)
    parts = contents.items()
    return digest(sorted([relpath(one, file.parent), sha256(c).hexdigest()] for one, c in parts))


def is_local(file: Path) -> bool:
    """Whether a module's file is the user's own: not Python's, not installed, not lampbench's."""
    return (
        not any(file.is_relative_to(folder) for folder in _installed())
        and distribution_of(file) is None
    )


@cache
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)).resolve() for name in names}
    return (*folders, Path(__file__).resolve().parents[1])


def _local_imports(file: Path, source: bytes, own: Path | None) -> Iterator[Path]:
    """The local files that a file imports; `own` is the distribution that installed the plugin."""
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    beside: Iterator[Path]
    for level, names in _imported(source):
        if level:
            package = file.parents[level - 1]
            beside = chain(_package_files(package), _module_files(package, names))
        elif names[0] != _HARNESS:
            beside = _module_files(top, names)
            for one in _loaded_files(names):
                if is_local(one) or (own and distribution_of(one) == own):
                    yield one
        else:
            continue
        yield from (one for one in beside if distribution_of(one) == own)


@cache  # by content: a process parses no file twice, and sees each edit
def _imported(source: bytes) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """What a file imports: the number of leading dots, and the parts of the dotted name."""
    found: list[tuple[int, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(0, tuple(alias.name.split("."))) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            path = node.module.split(".") if node.module else []
            found += [(node.level, (*path, alias.name)) for alias in node.names]
    return tuple(found)


def _package_files(package: Path) -> Iterator[Path]:
    """What runs before a relative import: the `__init__.py` of the package and of those above."""
    for folder in (package, *package.parents):
        file = folder / "__init__.py"
        if not file.is_file():
            return
        yield file.resolve()


def _module_files(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """The files below `folder` that importing a dotted name runs."""
    for name in names:
        module = folder / f"{name}.py"
        if module.is_file():
            yield module.resolve()
            return
        folder = folder / name
        package = folder / "__init__.py"
        if package.is_file():
            yield package.resolve()
        elif not folder.is_dir():
            return


def _loaded_files(names: tuple[str, ...]) -> Iterator[Path]:
    """The files of the imported modules of a dotted name."""
    for length in range(1, len(names) + 1):
        module = sys.modules.get(".".join(names[:length]))
        file = getattr(module, "__file__", None)
        if file and (path := Path(file).resolve()).suffix == ".py":
            yield path
