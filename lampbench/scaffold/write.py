"""Writing a new plugin: one file and its test, or a package."""

import importlib
import keyword
import re
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from lampbench.registry import Kind, Registry, plugin_paths
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.version import VERSION

_TEMPLATES = files("lampbench.scaffold") / "templates"


def write_plugin(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Write `NAME.py` and `test_NAME.py`; in a folder of built-in plugins, which have their tests,
    the first alone.

    Raises:
        LampbenchError: the name is none, is taken, or a file is there already.
    """
    _require_free(kind, name)
    made = {folder / f"{name}.py": _filled(f"{kind}.py", kind, name)}
    if not _is_built_in(folder):
        made[folder / f"test_{name}.py"] = _filled("test.py", kind, name, packaged=False)
    return _write(made)


def write_package(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Write a package with the plugin, its entry point, its test, a README and a licence to choose.

    Raises:
        LampbenchError: as in `write_plugin`.
    """
    _require_free(kind, name)
    home = folder / _distribution(name)
    code = home / "src" / _module(name)
    return _write({
        home / "pyproject.toml": _filled("package/pyproject.toml", kind, name),
        home / "README.md": _filled("package/README.md", kind, name),
        home / "LICENSE": _filled("package/LICENSE", kind, name),
        code / "__init__.py": _filled("package/__init__.py", kind, name),
        code / f"{name}.py": _filled(f"{kind}.py", kind, name),
        home / "tests" / f"test_{name}.py": _filled("test.py", kind, name, packaged=True),
    })  # fmt: skip


def _distribution(name: str) -> str:
    return f"lampbench-{name.replace('_', '-')}"


def _module(name: str) -> str:
    return f"lampbench_{name}"


def _require_free(kind: Kind, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise LampbenchError(
            f"{name!r} cannot be a plugin's name: use lower-case letters, digits and _, beginning "
            "with a letter"
        )
    if name in Registry(plugin_paths(())).names(kind):
        raise LampbenchError(f"a {kind} called {name!r} exists already: choose another name")


def _is_built_in(folder: Path) -> bool:
    """Whether it is the folder of the built-in methods or tasks, for which one test stands."""
    packages = [importlib.import_module(f"lampbench.{kind}s") for kind in ("method", "task")]
    homes = {Path(place).resolve() for package in packages for place in package.__path__}
    return folder.resolve() in homes


def _filled(template: str, kind: Kind, name: str, **more: object) -> str:
    words = name.split("_")
    made = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    text = _TEMPLATES.joinpath(f"{template}.jinja").read_text(encoding="utf-8")
    return made.from_string(text).render(
        kind=kind,
        name=name,
        title=" ".join([words[0].capitalize(), *words[1:]]),
        class_name="".join(word.capitalize() for word in words),
        distribution=_distribution(name),
        module=_module(name),
        version=VERSION,
        **more,
    )


def _write(made: dict[Path, str]) -> list[Path]:
    for file in made:
        if file.exists():
            raise LampbenchError(
                f"{file}: exists already and is not overwritten; choose another name or --folder"
            )
    for file, text in made.items():
        with writing(file, len(text)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return list(made)
