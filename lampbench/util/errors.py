"""Errors whose message is meant for the user."""

from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches


class LampbenchError(Exception):
    """A bad input: one line that says what is wrong, where, and how to fix it; exit code 2."""


class NoDataForTask(LampbenchError):
    """A source that is sound and has nothing of a task; `all` tasks are then without this one."""


class OutOfBudget(LampbenchError):
    """A budget of tokens or money is spent; the same command resumes with a fresh one."""


def short_repr(value: object, most: int = 60) -> str:
    """What Python calls a value, at most that many characters of it."""
    try:
        text = repr(value)
    except Exception:  # Python writes no integer of thousands of digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def suggestion(name: str, known: Collection[str]) -> str:
    """A hint for an unknown name: the nearest known one, whatever its case, or all of them."""
    nearest_last = sorted(known, key=lambda one: SequenceMatcher(None, name, one).ratio())
    spelled = {one.casefold(): one for one in nearest_last}
    near = get_close_matches(name.casefold(), spelled, n=1, cutoff=0.4)
    return f"did you mean {spelled[near[0]]}?" if near else f"there are {', '.join(sorted(known))}"
