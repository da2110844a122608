"""Check values that were read from a file and turn them into texts, ids, dates and lists.

`where` is the file and the record, as errors show it; `name` is the value's key.
"""

import sys
from datetime import date
from typing import Any

from lampbench.util.errors import LampbenchError

_LARGEST = sys.float_info.max


def as_text(value: object, where: str, name: str) -> str:
    """A text without surrounding white space; numbers as they print, null as the empty text.

    Any Unicode text is kept as it is (composed or decomposed, right to left, of any length),
    except a lone surrogate, which cannot be encoded, and NUL.

    Raises:
        LampbenchError: neither text nor a finite number, a lone surrogate, or NUL.
    """
    if type(value) is str and value.isascii() and "\0" not in value:
        return value.strip()  # nearly every value of gigabytes
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not -_LARGEST <= value <= _LARGEST:  # false for NaN too
            raise LampbenchError(
                f"{where}: {name} is NaN, infinite or too large; leave it out or correct it"
            )
        return str(value)
    if not isinstance(value, str):
        raise LampbenchError(
            f"{where}: {name} must be text, not {json_type(value)}; write it as a string"
        )
    _check_unicode(value, where, name)
    return value.strip()


def as_id(value: object, where: str, name: str = "id") -> str:
    """An id as text: a string or a whole number.

    Raises:
        LampbenchError: missing, empty or of another type.
    """
    if type(value) is str and (text := as_text(value, where, name)):
        return text
    if value is None:
        raise LampbenchError(
            f"{where}: {name} is missing; add a unique one (a string or a whole number)"
        )
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise LampbenchError(
            f"{where}: {name} must be a string or a whole number, not {json_type(value)}; change it"
        )
    text = as_text(value, where, name)
    if not text:
        raise LampbenchError(f"{where}: {name} is empty; give each entry its own")
    return text


def as_date(value: object, where: str) -> str | None:
    """A record's date as text (`2014-05-12`, `2014-05`, `2014`); None if there is none.

    A column of years in which some are missing is one of fractions: 2014.0 is the year 2014.
    """
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, date):
        return value.isoformat()
    return as_text(value, where, "date") or None


def as_list(value: object, where: str, name: str) -> list[Any]:
    """A list, or an object of equally long columns turned into a list of rows.

    Raises:
        LampbenchError: missing, of another type, or columns of different lengths.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        if len({len(column) for column in value.values()}) > 1:
            raise LampbenchError(
                f"{where}: the columns of {name} have different lengths; give one value per entry"
            )
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    if value is None:
        raise LampbenchError(f"{where}: {name} is missing; add it as a list ([] if there is none)")
    raise LampbenchError(
        f"{where}: {name} must be a list, not {json_type(value)}; write it as [...]"
    )


def as_object(value: object, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        LampbenchError: of another type.
    """
    if not isinstance(value, dict):
        raise LampbenchError(
            f"{where}: must be a JSON object, not {json_type(value)}; write it as {{...}}"
        )
    return value


def json_type(value: object) -> str:
    """The type of a value, in JSON's words."""
    names = {list: "a list", dict: "an object", bool: "true or false", str: "text"}
    numbers = {int: "a number", float: "a number", type(None): "null"}
    return {**names, **numbers}.get(type(value), type(value).__name__)


def _check_unicode(value: str, where: str, name: str) -> None:
    if "\0" in value:
        at = value.index("\0")
        raise LampbenchError(f"{where}: {name} contains NUL (U+0000) at character {at}; remove it")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise LampbenchError(
            f"{where}: {name} contains a lone surrogate (U+{ord(value[error.start]):04X}, half a "
            f"character) at character {error.start}; remove it or write the whole character"
        ) from None
