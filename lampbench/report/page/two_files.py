"""Which parts of the report are on the page, and which are in the second file."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from lampbench.report.page.packing import PackedData

PAGE_BYTES = 2_000_000
"""Bytes of the page; what does not fit is in the second file."""


@dataclass(frozen=True, slots=True)
class RunList:
    """Runs with their manifests: what is seen, and what is read when one is opened."""

    shown: Markup
    manifests: PackedData

    def size(self) -> int:
        """Bytes of both."""
        return _size(self.shown) + len(self.manifests.packed)


@dataclass(frozen=True, slots=True)
class SetupParts:
    """A setup's tables and plots, its examples, and the runs behind them."""

    identifier: str
    title: str
    model: str
    body: Markup
    examples: PackedData
    runs: RunList


@dataclass(frozen=True, slots=True)
class PageSetup:
    """What one file shows of a setup; None is in the other file."""

    identifier: str
    title: str
    model: str
    body: Markup | None
    runs: Markup | None


@dataclass(slots=True)
class FileContents:
    """What one file shows. `examples` are titles of setups, `moved_examples` those elsewhere."""

    setups: list[PageSetup] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    moved_examples: list[str] = field(default_factory=list)
    others: Markup | None = None
    data: list[PackedData] = field(default_factory=list)


def divided(
    setups: Sequence[SetupParts], main: str | None, others: RunList | None, room: int
) -> tuple[FileContents, FileContents]:
    """What the page shows of setups and excluded runs within so many bytes, and the rest.

    The setup with the identifier `main` comes first, then the others in their order, each with its
    tables and plots, its examples and its runs; what does not fit is left to the second file.
    """
    budget = _Budget(room)
    kept: dict[str, tuple[bool, bool, bool]] = {}
    for one in sorted(setups, key=lambda each: each.identifier != main):
        body = budget.take(_size(one.body))
        examples = budget.take(len(one.examples.packed))
        runs = body and budget.take(one.runs.size())
        kept[one.identifier] = (body, examples, runs)
    first, second = FileContents(), FileContents()
    for one in setups:
        body, examples, runs = kept[one.identifier]
        _show(first, one, body, runs)
        if not (body and runs):
            _show(second, one, not body, not runs)
        (first if examples else second).examples.append(one.title)
        (first if examples else second).data.append(one.examples)
        if not examples:
            first.moved_examples.append(one.title)
    if others is not None:
        place = first if budget.take(others.size()) else second
        place.others = others.shown
        place.data.append(others.manifests)
    return first, second


class _Budget:
    """Bytes that are left."""

    def __init__(self, room: int) -> None:
        self._left = room

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are left."""
        fits = size <= self._left
        self._left -= size if fits else 0
        return fits


def _show(file: FileContents, one: SetupParts, body: bool, runs: bool) -> None:
    file.setups.append(
        PageSetup(
            one.identifier,
            one.title,
            one.model,
            one.body if body else None,
            one.runs.shown if runs else None,
        )
    )
    if runs:
        file.data.append(one.runs.manifests)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
