"""KEY=VALUE texts, as options that may be repeated give them."""

from collections.abc import Sequence

from lampbench.util.errors import LampbenchError


def parse_key_values(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """The texts that were given for an option as a mapping; `example` is a text that is right.

    Raises:
        LampbenchError: a text has another form, or a key is given twice with different values.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = (part.strip() for part in text.partition("="))
        if not (key and sign and value):
            raise LampbenchError(f"{option} {text}: write KEY=VALUE, for example {example}")
        if found.setdefault(key, value) != value:
            raise LampbenchError(f"{option} {key} is both {found[key]} and {value}: give one")
    return found
