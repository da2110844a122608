"""Paths in manifests: relative to the project folder or to home, so that no manifest names a home.

A manifest is published with its run; where a home folder is says who made the run, and does
not help to repeat it.
"""

import re
from pathlib import Path
from typing import Any


def portable(text: str) -> str:
    """A text with the paths in it relative to the working folder, or else to home (`~/...`)."""
    for folder, short in ((Path.cwd(), ""), (Path.home(), "~")):
        for name in dict.fromkeys((str(folder), str(folder.resolve()))):
            if len(Path(name).parts) < 2:  # the root: every path is below it
                continue
            # a path begins where no other path goes on, and ends with the name or at a separator
            begin = rf"(?<![\w/.~-]){re.escape(name)}"
            text = re.sub(rf"{begin}/+", f"{short}/" if short else "", text)
            text = re.sub(rf"{begin}(?![\w.~-])", short or ".", text)
    return text


def portable_value(value: Any) -> Any:
    """A JSON value with the paths in its texts made portable; names in objects stay."""
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, dict):
        return {name: portable_value(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(portable_value, value))
    return value
