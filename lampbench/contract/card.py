"""What the documentation of a plugin needs: title, description, source, settings' meanings."""

import re
import sys

from lampbench.contract.subject import Subject
from lampbench.contract.verdict import CheckResult, failed, note, passed
from lampbench.plugin.hyperparameter import Part, child_parts, hyper_fields
from lampbench.plugin.method import Method
from lampbench.plugin.metric import Metric

_SOURCE = re.compile(
    r"et al\.|\b(19|20)\d\d\b|\bpaper\b|https?://|arxiv|\bdoi\b|\b[Ss]ources?\b|defined here",
    re.IGNORECASE,
)
_SHORTEST = 15
"""Characters of a description; fewer say nothing."""


def check_card(subject: Subject) -> CheckResult:
    """Whether `list`, `show` and a card in the documentation have what they print.

    A missing source is only a note: examples and first tries have none.
    """
    kind, missing = subject.found, []
    text = (vars(kind).get("__doc__") or "").strip()
    if kind.__module__ == "builtins" or text.startswith(f"{kind.__name__}("):
        text = ""  # what dataclasses write
    if not issubclass(kind, Part) and not str(getattr(kind, "title", "")).strip():
        missing.append(f"set `title`, the name in tables, as in title = {_example(subject.name)!r}")
    if len(text.partition("\n")[0]) < _SHORTEST:
        missing.append("give the class a docstring whose first line says what it is")
    missing += [f"say what the hyper-parameter {path} means" for path in _unexplained(subject)]
    if missing:
        return failed("card", f"{subject.place}: {'; '.join(missing)}")
    module = getattr(sys.modules.get(kind.__module__), "__doc__", None) or ""
    if not issubclass(kind, Part) and not _SOURCE.search(f"{text}\n{module}"):
        return note(
            "card",
            f"{subject.place}: name the source in the docstring, as in (Author et al., 2024, "
            'section 3), or write "Source: defined here"',
        )
    return passed("card", f"{text.partition(chr(10))[0]:.100}")


def _example(name: str) -> str:
    """A title made from a name; until one is set, a method's name is in the tables."""
    return name.replace("_", " ").capitalize()


def _unexplained(subject: Subject) -> list[str]:
    """Paths of hyper-parameters without a meaning."""
    if issubclass(subject.found, Metric) or not issubclass(subject.found, (Method, Part)):
        return []
    found: list[str] = []
    waiting = list(subject.method().parts().values())
    while waiting:
        part = waiting.pop()
        found += [p for p, field in hyper_fields(part) if not field.metadata["hyper"]["doc"]]
        waiting += [child for _, child in child_parts(part)]
    return sorted(set(found))
