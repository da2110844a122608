"""The page of all recorded results, benchmarks/results/README.md."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from benchmarks.results_file import RESULTS

HEAD = """\
<!-- Made from the files beside this one by `python -m benchmarks.results_page`. Do not edit. -->

# Benchmark results

A ratio says how many times as fast our engine is: the median of paired rounds in one process, with
the smallest and the largest in brackets. [The README](../README.md) says what is compared. Absolute
times mean little on these machines. Coverage is in percent of simulated experiments, on whatever
machine; [docs/statistics.md](../../docs/statistics.md) has its tables.
"""


def page(folder: Path) -> str:
    """The page for the JSON files of a folder."""
    sections = [HEAD]
    for file in sorted(folder.glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        machine, settings = found["hardware"], found["settings"]
        where = machine["accelerator"] or f"{machine['cores']} cores, {machine['cpu']}"
        threads = settings.get("threads")
        sections.append(
            f"## {found['benchmark']}\n\n{where}{f', {threads} threads' if threads else ''}, "
            f"torch {found['versions']['torch']}\n"
        )
        sections += _tables(found["results"])
    return "\n".join(sections)


def _tables(results: Mapping[str, Any]) -> Iterator[str]:
    """One table for all results with the same fields."""
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name, fields in results.items():
        values = fields if isinstance(fields, Mapping) else {"value": fields}
        groups.setdefault(tuple(values), []).append([name, *map(_cell, values.values())])
    for heads, rows in groups.items():
        titles = ["", *(head.replace("_", " ") for head in heads)]
        yield tabulate(rows, headers=titles, tablefmt="github", disable_numparse=True) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {"median", "least", "most"}:
        return f"{value['median']} ({value['least']} to {value['most']})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, float) and value:
        return f"{value:.3g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the page is not up to date.")
@click.option("--folder", type=click.Path(path_type=Path), default=RESULTS)
def main(check: bool, folder: Path) -> None:
    """Write the page."""
    file, text = folder / "README.md", page(folder)
    if not check:
        file.write_text(text, encoding="utf-8")
    elif not file.exists() or file.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{file} is not up to date; run `python -m benchmarks.results_page`")


if __name__ == "__main__":
    main()
