"""Execute the notebooks of the documentation, each in a fresh folder.

    python -m scripts.run_notebooks

Nothing is written into the notebooks: they are committed without output.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "docs/notebooks"
LONGEST = 900
"""Seconds that a cell may take."""


def execute(notebook: Path, folder: Path) -> None:
    """Run all cells of a notebook in a folder.

    Raises:
        SystemExit: a cell fails; names it, and what it said.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content, timeout=LONGEST, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise SystemExit(f"{notebook.name}: {error}") from error


def main() -> None:
    """Execute every notebook and say how long it took."""
    found = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not found:
        sys.exit(f"{NOTEBOOKS}: has no notebook")
    for notebook in found:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        print(f"{notebook.name}: all cells ran in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
