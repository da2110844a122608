"""placeholder"""

from typing import Any


def write_card(*a: Any) -> None: ...
