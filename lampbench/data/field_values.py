"""Values as they stand in files, checked and made into text: each error says where it stands."""

from datetime import date
from typing import Any

from lampbench.util.errors import LampbenchError


def text(value: object, where: str, what: str) -> str:
    """A field's text without outer white space; numbers as they print, null as nothing.

    Any Unicode text is kept as it is (composed or decomposed, right to left, of any length),
    except what is not text: a lone surrogate, which cannot be encoded, and NUL.

    Raises:
        LampbenchError: neither text nor a number, a lone surrogate, or NUL.
    """
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise LampbenchError(f"{where}: {what} must be text, not {kind(value)}")
    _check_unicode(value, where, what)
    return value.strip()


def identifier(value: object, where: str, what: str = "id") -> str:
    """An id as text: a string or a whole number.

    Raises:
        LampbenchError: missing, empty or of another type.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        found = "missing" if value is None else f"{kind(value)}"
        raise LampbenchError(f"{where}: {what} must be a string or a whole number, it is {found}")
    name = text(value, where, what)
    if not name:
        raise LampbenchError(f"{where}: {what} is empty; every one needs a name of its own")
    return name


def day(value: object, where: str) -> str | None:
    """A record's date as text (`2014-05-12`, `2014-05`, `2014`); None where there is none."""
    if isinstance(value, date):
        return value.isoformat()
    return text(value, where, "date") or None


def listing(value: object, where: str, what: str) -> list[Any]:
    """A list, or a mapping of equally long columns made into a list of rows.

    Raises:
        LampbenchError: anything else.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    found = "missing" if value is None else kind(value)
    raise LampbenchError(f"{where}: {what} must be a list, it is {found}")


def mapping(value: object, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        LampbenchError: anything else.
    """
    if not isinstance(value, dict):
        raise LampbenchError(f"{where}: must be an object {{...}}, it is {kind(value)}")
    return value


def kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    names = {list: "a list", dict: "an object", bool: "true or false", str: "text"}
    numbers = {int: "a number", float: "a number", type(None): "null"}
    return {**names, **numbers}.get(type(value), type(value).__name__)


def _check_unicode(value: str, where: str, what: str) -> None:
    if "\0" in value:
        place = value.index("\0")
        raise LampbenchError(f"{where}: {what} holds NUL (U+0000) at character {place}; remove it")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise LampbenchError(
            f"{where}: {what} holds a lone surrogate (U+{ord(value[error.start]):04X}) at "
            f"character {error.start}: half a character, no text; remove it or write it whole"
        ) from None
