"""The example browser's data: a bounded number of queries, with every method's answer."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from lampbench.record.inputs import Inputs, read_inputs
from lampbench.record.runs import PREDICTIONS, Run
from lampbench.report.cell_scores import Column
from lampbench.report.page.cells import GOALS, Group
from lampbench.report.page.words import pieces
from lampbench.scoring.catalog import METRICS
from lampbench.util.errors import LampbenchError

LONGEST = 600
"""Characters of each field of a query that the page holds."""

Answers = Mapping[tuple[str, str], Mapping[str, Any]]


def examples(group: Group, count: int) -> list[dict[str, Any]]:
    """For each task at most `count` queries, each with the answers of all methods.

    Which queries is decided by a hash of their ids, not by any score. Of several seeds the
    lowest is shown.

    Raises:
        LampbenchError: a prediction is not what a run writes, or its token rewards are unsound.
    """
    return [_task(group, column, count) for column in group.columns()]


def _task(group: Group, column: Column, count: int) -> dict[str, Any]:
    cells = group.of(column)
    first = cells[0].runs[0]
    inputs = read_inputs(first.path.absolute().parents[3], first.manifest)
    answers = [_answers(cell.runs[0]) for cell in cells]
    # of the seed that is shown: a cell's own scores are means over seeds
    scores = [{(s["user"], s["query"]): s for s in cell.runs[0].scores} for cell in cells]
    queries = sorted({query for each in answers for query in each}, key=_drawn)
    shown = []
    for user, query in sorted(queries[:count]):
        rows = [each.get((user, query)) for each in answers]
        references = [row["reference"] for row in rows if row is not None]
        shown.append(
            {
                "user": user,
                "query": query,
                "fields": _fields(inputs, user, query),
                "reference": references[0],
                "answers": [
                    _answer(cell.title, cell.runs[0], row, own.get((user, query), {}), inputs)
                    for cell, row, own in zip(cells, rows, scores, strict=True)
                    if row is not None
                ],
            }
        )
    return {"title": group.column_title(column), "total": len(queries), "queries": shown}


def _fields(inputs: Inputs | None, user: str, query: str) -> list[list[str]] | None:
    """Names and beginnings of a query's fields, None where they are not recorded."""
    found = inputs.queries.get((user, query)) if inputs else None
    return [[name, _head(text)] for name, text in found.items()] if found else None


def _answer(
    title: str,
    run: Run,
    row: Mapping[str, Any],
    own: Mapping[str, Any],
    inputs: Inputs | None,
) -> dict[str, Any]:
    reference = row["reference"]
    scores = [
        [METRICS[metric].title, f"{own[metric]:.3f}"]
        for metric in GOALS
        if own.get(metric) is not None
    ]
    shown: dict[str, Any] = {
        "method": title,
        "seed": run.manifest["seed"],
        "pieces": pieces(row["prediction"], reference) if reference else [row["prediction"]],
        "scores": scores,
    }
    for name in ("prompt_tokens", "new_tokens", "prompt_tokens_dropped", "truncated"):
        if isinstance(row.get(name), int):
            shown[name] = row[name]
    return shown | _quoted(run, row, inputs) | _rewards(run, row)


def _quoted(run: Run, row: Mapping[str, Any], inputs: Inputs | None) -> dict[str, Any]:
    """The beginnings of the past texts that the prompt quotes, where they are recorded."""
    quoted = row.get("quoted", [])
    if not isinstance(quoted, list) or not all(isinstance(record, str) for record in quoted):
        raise _unsound(run, row, "quoted must be a list of the ids of past records")
    if inputs is None:
        return {}
    history = inputs.histories.get(row["user"], {})
    if unknown := [record for record in quoted if record not in history]:
        raise _unsound(run, row, f"it quotes {unknown[0]!r}, which the user's history lacks")
    return {"history": [history[record] for record in quoted]}


def _rewards(run: Run, row: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's tokens and their rewards (natural log), where recorded."""
    tokens, rewards = row.get("tokens"), row.get("rewards")
    if tokens is None and rewards is None:
        return {}
    if (
        not isinstance(tokens, list)
        or not isinstance(rewards, list)
        or len(tokens) != len(rewards)
        or not all(isinstance(token, str) for token in tokens)
        or not all(_finite(reward) for reward in rewards)
    ):
        raise _unsound(run, row, "tokens must be texts, and rewards as many finite numbers")
    return {"tokens": tokens, "rewards": [round(reward, 3) for reward in rewards]}


def _answers(run: Run) -> Answers:
    found = {}
    for number, row in enumerate(run.predictions, start=1):
        texts = [row.get(name) for name in ("user", "query", "prediction")]
        if (reference := row.get("reference", 0)) is not None:
            texts.append(reference)
        if not all(isinstance(text, str) for text in texts):
            raise LampbenchError(
                f"{run.path / PREDICTIONS}, line {number}: user, query, prediction and reference "
                "must be texts; run it again with --force"
            )
        found[row["user"], row["query"]] = row
    return found


def _unsound(run: Run, row: Mapping[str, Any], why: str) -> LampbenchError:
    return LampbenchError(
        f"{run.path / PREDICTIONS}, query {row['query']!r} of user {row['user']!r}: {why}; "
        "run it again with --force"
    )


def _drawn(query: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    text = "\0".join(query).encode("utf-8", "surrogatepass")
    return sha256(text).hexdigest(), query


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _head(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
