"""How a damaged recorded run is made whole again."""

import shlex
from pathlib import Path

from lampbench.record.manifest import MANIFEST, Manifest
from lampbench.record.paths import unescape

_LONGEST = 200  # characters of a command that is repeated in a message


def remedy(folder: Path, manifest: Manifest | None) -> str:
    """What to do about the damaged run in `folder`, whose manifest is None if it cannot be read.

    Once the folder is deleted, the command records this run only: it leaves other runs that it
    names as they are, and takes everything trained from the cache.
    """
    if manifest is None:
        again = _from_path(folder)
    elif not manifest.command:
        again = f"run {manifest.method} on {manifest.task} again"
    elif len(manifest.command) > _LONGEST:
        again = f"repeat the command that its {MANIFEST} names"
    else:
        again = f"repeat `{manifest.command}`"
    return f"restore it, or delete it and {again}"


def _from_path(folder: Path) -> str:
    """The command that records a run with the default options, for a folder in its place."""
    parts = folder.absolute().parts[-4:-1]
    try:
        task, model, method = map(unescape, parts)
    except ValueError:
        return "run it again"
    command = ["lampbench", "run", "--method", method, "--task", task, "--model", model]
    text = shlex.join(command)
    if len(text) > _LONGEST:
        return "run it again"
    return f"give `{text}` with the options of that run"
