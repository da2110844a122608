"""What is told of a model behind an API, as arguments of the engine that asks it."""

from collections.abc import Sequence
from typing import Any

from lampbench.util.errors import LampbenchError, short_repr

ENGINE = "openai"

_NAMES = ("api_base", "max_total_tokens", "max_cost")
_LARGEST_PRICE = 1e9


def take_api_settings(known: dict[str, Any]) -> dict[str, Any]:
    """Take the settings of an API out of checked settings, as the engine's arguments.

    Raises:
        LampbenchError: the price is not two numbers.
    """
    found = {name: known.pop(name, None) for name in _NAMES}
    if (price := known.pop("price", None)) is not None:
        found["input_price"], found["output_price"] = parse_price(price)
    return {name: value for name, value in found.items() if value is not None}


def require_api_engine(given: dict[str, Any], engines: Sequence[str]) -> None:
    """Refuse settings of an API where no engine asks one.

    Raises:
        LampbenchError: there are some, and none of the run's `engines` is the API's.
    """
    if given and ENGINE not in engines:
        name = next(iter(given)).replace("_", "-")
        option = "price" if name.endswith("price") else name
        raise LampbenchError(f"--{option} is for models behind an API: add --engine {ENGINE}")


def merge_api_settings(arguments: dict[str, Any], told: dict[str, Any]) -> None:
    """Add settings of an API to its engine's arguments.

    Raises:
        LampbenchError: one is among these with another value.
    """
    for name, value in told.items():
        if str(arguments.setdefault(name, value)) != str(value):
            raise LampbenchError(
                f"--engine-arg {name}={arguments[name]} and {value} of another option: give one"
            )


def parse_price(price: str | Sequence[float]) -> tuple[float, float]:
    """The prices of a million tokens read and of a million written: "0.15,0.60" or two numbers.

    Raises:
        LampbenchError: it is something else.
    """
    parts = price.split(",") if isinstance(price, str) else price
    try:
        numbers = [float(part) for part in parts]
    except (ValueError, TypeError, OverflowError):
        numbers = []
    if len(numbers) != 2 or not all(0 <= number <= _LARGEST_PRICE for number in numbers):
        raise LampbenchError(
            f"price={short_repr(price)}: give two numbers, of a million tokens read and of a "
            "million written, for example 0.15,0.60"
        )
    return numbers[0], numbers[1]
