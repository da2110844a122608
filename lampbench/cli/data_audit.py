"""`lampbench data audit`: does text of test users appear where it must not?"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import lampbench.bundled
from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.output import echo_json
from lampbench.cli.task_datasets import of_tasks, require_some, source_of
from lampbench.data import DataOptions
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from lampbench.core.task import Task
    from lampbench.data.leaks.audit import LeakFinding
    from lampbench.data.leaks.overlap import ComparedText

_SHOWN = 3
_BY = {"id": "same record", "author": "same author", "words": "13 words"}


@dataclasses.dataclass(frozen=True)
class _Audited:
    """What was found in a task's data; `fault` says what could not be checked."""

    task: str
    source: str
    test_users: int
    dev_users: int
    training_users: int
    leaks: int
    findings: list["LeakFinding"]
    fault: str = ""


@click.command("audit", cls=Command)
@options.tasks_of_data
@options.dataset
@option("--corpus", type=click.Path(path_type=Path), metavar="FILE", heading=options.DATA,
        help='Pre-training text to compare with, .jsonl or .jsonl.gz of {"id", "text", ...}.  '
             "[default: for bundled data, what the bundled model was trained on]")  # fmt: skip
@options.plugins
@options.output_format
def audit(
    tasks: tuple[str, ...], corpus: Path | None, form: str, plugins: tuple[str, ...], **rest: Any
) -> None:
    """Look for leaks: the same record, the same author, or 13 equal words in a row.

    Test users, users kept for tuning, training users and pre-training text are compared. Exit
    code: 0 when nothing leaks, 1 when something does, 2 for bad input.
    """
    source, chosen = source_of(rest)
    done: list[_Audited] = []
    without: list[str] = []
    for task, dataset in of_tasks(tasks, plugins, rest, without):
        done.append(_audit(task, dataset, source, chosen, corpus))
        if form == "text":
            click.echo(_table(done[-1]))
    require_some(done, without)
    if form == "json":
        found = [dataclasses.asdict(each) for each in done]
        echo_json({"datasets": found, "without_data": without})
    else:
        click.echo("\n".join([*(f"no data: {line}" for line in without), _verdict(done)]))
    if any(each.leaks or each.fault for each in done):
        raise SystemExit(1)


def _audit(
    task: "Task", dataset: Any, source: str, chosen: DataOptions, corpus: Path | None
) -> _Audited:
    from lampbench.data.leaks.audit import LeakAudit, count_leaks
    from lampbench.data.leaks.corpus_sketch import load_sketch
    from lampbench.data.sources import load_credits, load_dev_users

    dev, credits = load_dev_users(task, source, chosen), load_credits(task, source)
    bundled = source == "bundled"
    made = LeakAudit(dataset, dev, task.fields, strict=bundled)
    findings, fault = made.within(), ""
    if credits and (papers := made.by_author(credits)).compared:
        findings.append(papers)
    if corpus is not None:
        findings += made.in_documents(_documents(corpus))
    elif bundled:
        held = lampbench.bundled.MODEL / "corpus.npz"
        if held.is_file():
            findings += made.in_sketch(load_sketch(held))
        else:
            fault = "the bundled model has no corpus sketch: pre-training text was not checked"
    return _Audited(
        task.name, dataset.source, len(dataset.test_users), len(dev), len(dataset.train_users),
        count_leaks(findings), findings, fault,
    )  # fmt: skip


def _documents(path: Path) -> Iterator["ComparedText"]:
    """The documents of a JSON-lines file: the id and every other text field of each.

    Raises:
        LampbenchError: the file is malformed, or a line has no id or no text.
    """
    from lampbench.data.json_stream import stream_lines
    from lampbench.data.leaks.audit import pretraining_document
    from lampbench.data.parse_values import as_id, as_text

    for where, entry in stream_lines(path):
        name = as_id(entry.get("id"), where)
        texts = [as_text(v, where, k) for k, v in entry.items() if k != "id" and isinstance(v, str)]
        if not any(texts):
            raise LampbenchError(f"{where}: document {name!r} has no text; add a text field")
        yield pretraining_document(name, tuple(texts))


def _table(audited: _Audited) -> str:
    from lampbench.util.fitted_table import fitted_table

    rows: dict[tuple[str, str], dict[str, LeakFinding]] = defaultdict(dict)
    for finding in audited.findings:
        rows[finding.what, finding.where][finding.by] = finding
    cells = [
        [what, where, f"{max(f.compared for f in found.values()):,}",
         *(f"{len(found[by].cases):,}" if by in found else "-" for by in _BY)]
        for (what, where), found in rows.items()
    ]  # fmt: skip
    dev = f", {audited.dev_users} dev" if audited.dev_users else ""
    lines = [
        f"{audited.task}: {audited.source}: {audited.test_users} test{dev}, "
        f"{audited.training_users} training users",
        fitted_table(
            cells,
            ["what", "found in", "compared", *_BY.values()],
            repeated=2,
            disable_numparse=True,
            colalign=("left", "left", *["right"] * (1 + len(_BY))),
        ),
    ]
    for finding in audited.findings:
        lines += _cases(finding)
    return "\n".join([*lines, *([audited.fault] if audited.fault else []), ""])


def _cases(finding: "LeakFinding") -> Iterator[str]:
    """The first cases of a finding, the longest overlap first."""
    if not finding.cases:
        return
    kind = "leak" if finding.leak else "reported"
    yield f"{kind}: {finding.what} in {finding.where} ({_BY[finding.by]}): {len(finding.cases):,}"
    for case in finding.cases[:_SHOWN]:
        yield f"  {case}"
    if len(finding.cases) > _SHOWN:
        yield f"  and {len(finding.cases) - _SHOWN:,} more; --format json lists all"


def _verdict(done: list[_Audited]) -> str:
    found = [f"{each.task} {each.leaks:,}" for each in done if each.leaks]
    if found:
        return f"leaks: {', '.join(found)}"
    unchecked = any(each.fault for each in done)
    return "no leak found" + (", but not everything was checked" if unchecked else "")
