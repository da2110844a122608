"""Requests of many owners handed to the engine at once, and results gathered back by owner."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lampbench.engine.protocol import Completion, GenerateRequest, Score, ScoreRequest
from lampbench.plugin.recipe import Owner
from lampbench.run.journal import Journal

Q = TypeVar("Q", bound=GenerateRequest | ScoreRequest)
R = TypeVar("R", bound=Completion | Score)


@dataclass
class _Group(Generic[R]):
    """One owner's requests: how many results each is to have, and the journal of those it has."""

    owner: Owner
    wanted: list[int]
    journal: Journal[R]

    def results(self) -> list[list[R]] | None:
        """Results by request and sample, or None while some are missing."""
        if len(self.journal.results) < sum(self.wanted):
            return None
        return [
            [self.journal.results[f"{i}/{sample}"] for sample in range(n)]
            for i, n in enumerate(self.wanted)
        ]


class Groups(Generic[Q, R]):
    """Gathers results by owner; what a journal already holds is not asked for again."""

    def __init__(self, result: Callable[[dict[str, Any]], R]) -> None:
        self._result = result
        self._groups: list[_Group[R]] = []
        self.waiting: list[Q] = []

    def add_owner(self, owner: Owner, folder: Path, requests: Sequence[Q]) -> None:
        """Take an owner's requests; their results are journaled in `folder`."""
        journal = Journal[R](folder / "journal.jsonl", _to_json, self._from_json)
        wanted = [request.samples if isinstance(request, GenerateRequest) else 1
                  for request in requests]  # fmt: skip
        for i, (request, n) in enumerate(zip(requests, wanted, strict=True)):
            if any(f"{i}/{sample}" not in journal.results for sample in range(n)):
                name = f"{request.id} [{len(self._groups)}/{i}]"  # errors show it
                self.waiting.append(dataclasses.replace(request, id=name))
        self._groups.append(_Group(owner, wanted, journal))

    def ready(self) -> Iterator[tuple[Owner, list[list[R]]]]:
        """The owners whose results were all in their journals from the start."""
        for group in self._groups:
            if (results := group.results()) is not None:
                yield group.owner, results

    def add(self, result: R) -> Iterator[tuple[Owner, list[list[R]]]]:
        """Take a result; yields its owner when it was the last one missing."""
        index, request = result.id.rpartition(" [")[2].removesuffix("]").split("/")
        group = self._groups[int(index)]
        sample = result.sample if isinstance(result, Completion) else 0
        group.journal.add(f"{request}/{sample}", result)
        if (results := group.results()) is not None:
            yield group.owner, results

    def _from_json(self, value: dict[str, Any]) -> R:
        return self._result({k: tuple(v) if isinstance(v, list) else v for k, v in value.items()})


def _to_json(result: Completion | Score) -> dict[str, Any]:
    return dataclasses.asdict(result)
