"""The paper's printed scores, kept as data in `published.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from itertools import product
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """One printed score: a fraction in [0, 1], mean over queries, with three decimals."""

    table: int
    method: str
    task: str
    model: str
    metric: str
    value: float
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A relative gain in percent that the paper derives from Table 1."""

    percent: float
    method: str
    over: str
    metric: str
    tasks: tuple[str, ...]
    of: str
    where: str


@dataclass(frozen=True, slots=True)
class DataRow:
    """A row of Table 4: counts, and (mean, standard deviation) of lengths in tokens.

    `train*` are the examples that TAM was trained on, `profile*` the test users' histories.
    """

    train: int
    train_in: tuple[float, float]
    train_out: tuple[float, float]
    profile: tuple[float, float]
    profile_in: tuple[float, float]
    profile_out: tuple[float, float]


@dataclass(frozen=True)
class Paper:
    """Everything in `published.toml`. Titles are in the order in which tables show them.

    `captions` are those of the printed tables, by number.
    """

    reference: str
    captions: Mapping[int, str]
    methods: Mapping[str, str]
    tasks: Mapping[str, str]
    models: Mapping[str, str]
    scores: tuple[Published, ...]
    claims: tuple[Claim, ...]
    data: Mapping[str, DataRow]

    def find(
        self, tables: tuple[int, ...], method: str, task: str, model: str, metric: str
    ) -> Published | None:
        """The printed score, from the first of `tables` that has one."""
        found = (self._by_place.get((table, method, task, model, metric)) for table in tables)
        return next((score for score in found if score), None)

    @cached_property
    def _by_place(self) -> dict[tuple[int, str, str, str, str], Published]:
        return {(s.table, s.method, s.task, s.model, s.metric): s for s in self.scores}

    def model(self, *names: str) -> str | None:
        """The hub id of the paper's model that one of `names` refers to, if any.

        A name is a hub id, a short name, or the path of a copy or of the hub's cache. One part of
        it must be the model's whole name; case does not matter.
        """
        text = "/".join(names).replace("\\", "/").replace("--", "/").lower()
        parts = set(text.split("/"))
        for identifier in self.models:
            if identifier.split("/")[-1].lower() in parts:
                return identifier
        return None


@cache
def paper() -> Paper:
    """The paper's numbers."""
    text = resources.files("lampbench.paper").joinpath("published.toml").read_text("utf-8")
    data = tomllib.loads(text)
    return Paper(
        reference=data["paper"],
        captions={table["number"]: table["caption"] for table in data["table"]},
        methods=data["methods"],
        tasks=data["tasks"],
        models=data["models"],
        scores=tuple(score for table in data["table"] for score in _scores(table, data["note"])),
        claims=tuple(Claim(**{**claim, "tasks": tuple(claim["tasks"])}) for claim in data["claim"]),
        data={task: _data_row(row) for task, row in data["data"].items()},
    )


def _data_row(row: Mapping[str, Any]) -> DataRow:
    pairs = {name: tuple(value) for name, value in row.items() if name != "train"}
    return DataRow(train=row["train"], **pairs)


def _scores(table: Mapping[str, Any], notes: list[dict[str, Any]]) -> list[Published]:
    columns = list(product(table["tasks"], table["models"], table["metrics"]))
    scores = []
    for method, values in table["rows"].items():
        for (task, model, metric), value in zip(columns, values, strict=True):
            cell = {"table": table["number"], "method": method, "task": task, "metric": metric}
            text = [note["text"] for note in notes if {**note, "text": ""} == {**cell, "text": ""}]
            scores.append(Published(table["number"], method, task, model, metric, value, *text[:1]))
    return scores
