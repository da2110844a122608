"""The tables of docs/statistics.md that are made from coverage.json."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from benchmarks.results_file import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
BEGIN = "<!-- coverage: written by `python -m benchmarks.coverage_page`. Do not edit. -->"
END = "<!-- end of coverage -->"

KINDS = {
    "covers": "as here",
    "covers_percentile": "plain percentiles",
    "covers_bca": "BCa",
    "covers_bootstrap_t": "bootstrap-t",
    "covers_t": "t",
    "covers_cr2": "t, CR2",
    "covers_exchange": "exchange test inverted",
    "covers_two_step": "queries drawn again",
}

COMPARED = [name for name in KINDS if name != "covers_two_step"]
"""Those of which is recorded how often they disagree with the exchange test."""


def block(recorded: Mapping[str, Any]) -> str:
    """The tables of what `benchmarks.coverage` has recorded."""
    results = recorded["results"]
    worlds = [(*name.split(" users, "), found) for name, found in results.items()
              if "size_exchange" in found]  # fmt: skip
    count = f"{recorded['settings']['experiments']:,}"
    parts = [
        f"Percent of {count} experiments without a true difference.",
        _table(
            ["users", "world", "interval holds the truth", "is too low", "is too high",
             "exchange test p <= 0.05", "the two disagree", "other draws: interval", "test",
             "false findings with a warning"],
            [[users, world, *(found[name] for name in
              ("covers", "too_low", "too_high", "size_exchange", "disagree", "redrawn_interval",
               "redrawn_test", "warned"))] for users, world, found in worlds],
        ),
        "Coverage of other intervals, in percent of the same experiments.",
        _table(
            ["users", "world", *KINDS.values()],
            [[users, world, *(found[name] for name in KINDS)] for users, world, found in worlds],
        ),
        "How often other intervals and the exchange test disagree, in percent.",
        _table(
            ["users", "world", *(KINDS[name] for name in COMPARED)],
            [[users, world, *(found["disagree" if name == "covers" else
                                    name.replace("covers", "disagrees")] for name in COMPARED)]
             for users, world, found in worlds],
        ),
        "Coverage with three seeds, by the standard deviation of seeds' means.",
        _table(["users", "of seeds", "interval for other users", "for other users and seeds"],
               list(_seed_rows(results))),
    ]  # fmt: skip
    return "\n\n".join([BEGIN, *parts, END])


def with_block(page: str, text: str) -> str:
    """A page with its tables replaced.

    Raises:
        ValueError: the page has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no lines {BEGIN!r} and {END!r}")
    return before + text + after


def _seed_rows(results: Mapping[str, Mapping[str, float]]) -> Iterator[list[object]]:
    for name, found in results.items():
        if "covers_for_users" in found:
            users, _, sd = name.split(", ")
            points = f"{100 * float(sd.removeprefix('seed sd ')):.1f} points"
            yield [users.removesuffix(" users"), points, *found.values()]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    shown = [[f"{x:.1f}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    return tabulate(shown, headers=heads, tablefmt="github", disable_numparse=True)


@click.command()
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
def main(results: Path) -> None:
    """Write the tables into docs/statistics.md."""
    recorded = json.loads((results / "coverage.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_block(page, block(recorded)), encoding="utf-8")


if __name__ == "__main__":
    main()
