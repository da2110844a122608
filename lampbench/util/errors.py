"""Errors whose message is meant for the person at the keyboard."""

import difflib
from collections.abc import Collection


class LampbenchError(Exception):
    """A mistake in the input: one line that names the place and the mend; exit code 2."""


def suggestion(name: str, known: Collection[str]) -> str:
    """What to say about an unknown name: the nearest one there is, or else all of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
