"""Findings about a dataset: plain remarks, and leaks, which make scores higher than they should be.

Both are lines of `Dataset.notes`; the text of a leak begins with a word of its own, so that notes
stay text in every file that holds them.
"""

from collections.abc import Iterable

LEAK = "leak: "


def is_leak(note: str) -> bool:
    """Whether a note is about a leak."""
    return note.startswith(LEAK)


def leaks_first(notes: Iterable[str]) -> list[str]:
    """Distinct notes, those about leaks before the others."""
    return sorted(dict.fromkeys(notes), key=lambda note: not is_leak(note))
