"""The order of records in time."""

import re
from collections.abc import Sequence

from lampbench.core.dataset import Record

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}.*)?)?", re.DOTALL)


def oldest_first(records: Sequence[Record]) -> tuple[tuple[Record, ...], bool]:
    """Records by date if every one has a date (else in their own order), and whether they have.

    Records of one date stay in their own order.
    """
    if not all(record.date and _DATE.fullmatch(record.date) for record in records):
        return tuple(records), False
    return tuple(sorted(records, key=lambda record: record.date or "")), True
