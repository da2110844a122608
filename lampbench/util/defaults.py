"""Where things are unless the user says otherwise, relative to the working folder."""

from pathlib import Path

RESULTS = Path("results")
CACHE_DIR = Path(".lampbench/cache")
REMOTE_CACHES = Path(".lampbench/remote")
LEADERBOARD = Path("leaderboard.md")
