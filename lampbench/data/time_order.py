"""The order of records in time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise

from lampbench.core.dataset import Record
from lampbench.util.errors import short_repr

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}).*)?)?", re.DOTALL | re.ASCII)
_UTC = re.compile(r"\s*(UTC|GMT|Z)$", re.IGNORECASE)


def oldest_first(records: Sequence[Record]) -> tuple[tuple[Record, ...], bool]:
    """Records by date if every one has a date (else in their own order), and whether they have.

    Records of one date stay in their own order. Times of a day count where they are written as in
    ISO 8601 (with `T` or a blank), also before `UTC` or `GMT`; one without a zone is taken as UTC.
    """
    if not all(record.date and is_date(record.date) for record in records):
        return tuple(records), False
    return tuple(sorted(records, key=lambda record: _moment(record.date or ""))), True


def is_date(text: str) -> bool:
    """Whether a text begins with a date as in `2014-05-12`, or is one as in `2014-05` or `2014`."""
    if (parts := _DATE.fullmatch(text)) is None:
        return False
    try:
        date(*(int(part or 1) for part in parts.groups()))
    except ValueError:
        return False
    return True


def _moment(text: str) -> str:
    """A date as text that sorts by time: as it is, or with its time in UTC.

    What follows a day and is no time is left out.
    """
    day = text[:10]
    if day == text:
        return text
    try:
        moment = datetime.fromisoformat(_UTC.sub("+00:00", text))
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one before the year 1
        return day
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass(slots=True)
class OrderOfFile:
    """What is odd about the dates of histories whose order in the file is taken as that in time."""

    odd: int = 0
    unordered: int = 0
    first_odd: str = ""
    first_unordered: str = ""

    def look(self, history: Sequence[Record], where: str) -> None:
        """Count what is odd about the history of one user; `where` names the user."""
        odd = [one for one in history if one.date and not is_date(one.date)]
        if odd:
            self.odd += len(odd)
            shown = f"{where}: record {short_repr(odd[0].id)}: {short_repr(odd[0].date)}"
            self.first_odd = self.first_odd or shown
        elif not _in_order([_moment(one.date or "") for one in history]):
            self.unordered += 1
            self.first_unordered = self.first_unordered or where

    def notes(self) -> list[str]:
        """One line for each kind of oddity, with the first place."""
        found = []
        if self.odd:
            found.append(
                f"dates that are not written as 2014-05-12, 2014-05 or 2014: {self.odd}, first "
                f"{self.first_odd}; these users count as users without dates"
            )
        if self.unordered:
            found.append(
                f"users whose records are not in the order of their dates: {self.unordered}, first "
                f"{self.first_unordered}; the order of the file counts, put the oldest record first"
            )
        return found


def _in_order(dates: Sequence[str]) -> bool:
    """Whether no date is later than the next one, compared as exactly as both are given.

    It is so where a date is missing: then nothing is known.
    """
    if not all(dates):
        return True
    pairs = [(one, other, min(len(one), len(other))) for one, other in pairwise(dates)]
    return all(one[:known] <= other[:known] for one, other, known in pairs)
