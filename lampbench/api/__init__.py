"""The face for Python: what the command line does, it does through these functions.

Methods and tasks are names, or classes that may come from anywhere, such as a notebook cell.
"""

from lampbench.api.executing import execute_all
from lampbench.api.looking import show_prompt
from lampbench.api.reading import compare, leaderboard, runs, table
from lampbench.api.reproducing import reproduce
from lampbench.api.running import (
    diagnose,
    options,
    plan,
    run,
    run_all,
    sweep,
)
from lampbench.api.settings import EXPERIMENTS, RunSettings
from lampbench.util.defaults import CACHE_DIR, LEADERBOARD, RESULTS

__all__ = [
    "CACHE_DIR",
    "EXPERIMENTS",
    "LEADERBOARD",
    "RESULTS",
    "RunSettings",
    "compare",
    "diagnose",
    "execute_all",
    "leaderboard",
    "options",
    "plan",
    "reproduce",
    "run",
    "run_all",
    "runs",
    "show_prompt",
    "sweep",
    "table",
]
