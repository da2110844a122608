"""Versions of what a number depends on."""

import platform
import subprocess
from pathlib import Path

from lampbench.util.machine import releases
from lampbench.util.version import VERSION

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "tokenizers",
    "accelerate",
    "rank-bm25",
    "rouge-score",
    "nltk",
    "sacrebleu",
)


def versions() -> dict[str, str | None]:
    """Versions by name, and lampbench's commit; None where a package is not installed."""
    return {
        "lampbench": VERSION,
        "commit": _commit(),
        "python": platform.python_version(),
        **releases(_PACKAGES),
    }


def _commit() -> str | None:
    """The commit of the checkout that runs, marked where files differ from it; None elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        code = ["lampbench", "methods", "tasks"]
        dirty = subprocess.run([*git, "status", "--porcelain", "--", *code], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")
