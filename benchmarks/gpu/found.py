"""The file of what a part has found so far. Loads no torch."""

import json
from pathlib import Path
from typing import Any


def save(file: Path, page: Any) -> None:
    """Write what was found so far, all of it or nothing: the process may be ended at any time."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(page, indent=1), encoding="utf-8")
    partial.replace(file)
