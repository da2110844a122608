"""Reading what is recorded: runs, tables, the leaderboard, comparisons."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lampbench.record.recorded_run import Run, UnreadableRun
from lampbench.record.runs import Runs, with_runs
from lampbench.util.defaults import LEADERBOARD, RESULTS

if TYPE_CHECKING:
    import pandas

    from lampbench.report.compare import Comparison
    from lampbench.report.contents import Recorded


def runs(results: Path | str = RESULTS) -> Runs:
    """The sound recorded runs of a folder.

    A folder that is no sound run does not hide the others: it is in the `problems` of what is
    returned, and a `UserWarning` says what is wrong with it and what heals it.
    """
    found, problems = with_runs(Path(results), lambda runs: runs)
    _warn(problems)
    return Runs(found, problems)


def _arranged(results: Path) -> "Recorded":
    from lampbench.report.contents import arrange

    found, problems = with_runs(results, arrange)
    _warn(problems)
    return found


def _warn(problems: Sequence[UnreadableRun]) -> None:
    for problem in problems:
        warnings.warn(str(problem), stacklevel=3)


def table(
    name: str, *, results: Path | str = RESULTS, baseline: str | None = None
) -> "pandas.DataFrame":
    """A table of the recorded runs as a frame, one row per cell: mean, interval, users, seeds.

    Args:
        name: "main", "gains", "ablation", "cross-model", ...; `lampbench table --help` lists them.
        results: folder of recorded runs.
        baseline: with "gains", the method that all others are compared with.

    Raises:
        LampbenchError: there is no table of that name, or no such baseline.
    """
    import pandas

    from lampbench.report.contents import sections
    from lampbench.report.machine_readable import cells

    return pandas.DataFrame(cells(sections(_arranged(Path(results)), name, baseline)))


def leaderboard(results: Path | str = RESULTS, output: Path | str = LEADERBOARD) -> dict[Path, str]:
    """Write the leaderboard and every table in full; returns the text of each page by its path.

    The tables go to the folder `tables` inside `results`. The same runs give the same texts.

    Raises:
        LampbenchError: a page cannot be written.
    """
    from lampbench.report.leaderboard import TABLES_FOLDER, pages
    from lampbench.report.page_files import write_pages

    folder = Path(results) / TABLES_FOLDER
    made = pages(_arranged(Path(results)), Path(output), folder)
    write_pages(made, folder)
    return made


def compare(
    run_a: Run | str, run_b: Run | str, *, metric: str = "rougeL", results: Path | str = RESULTS
) -> "Comparison":
    """Two runs on the same queries: differences, tests, and what differs in how they were made.

    A run is a `Run`, a run's folder or the beginning of its key.

    Raises:
        LampbenchError: no such run, or the two answered different queries.
    """
    from lampbench.report.compare import compare_runs
    from lampbench.report.find_runs import find_run

    first, second = (
        one if isinstance(one, Run) else find_run(Path(results), one) for one in (run_a, run_b)
    )
    return compare_runs(first, second, metric)
