"""Versions of what a number depends on."""

import os
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

_PLACES = {f"GIT_{name}" for name in (
    "DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "OBJECT_DIRECTORY", "PREFIX", "NAMESPACE",
)}  # fmt: skip
"""What tells git of another checkout than the folder that it runs in."""


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
    try:
        head = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--", "lampbench", "methods", "tasks")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if dirty else "")


def _git(root: Path, *command: str) -> str:
    """What git says of a checkout, also inside a hook or a rebase of another one.

    There the environment names that other one.

    Raises:
        OSError: there is no git.
        CalledProcessError: git cannot read the checkout.
    """
    own = {name: value for name, value in os.environ.items() if name not in _PLACES}
    done = subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=True, env=own
    )
    return done.stdout.strip()
