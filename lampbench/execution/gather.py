"""Requests of many owners sent to the engine together, and results gathered back by owner.

Results are journaled under the digest of the request that they answer: the same request is never
computed twice, and no result is taken for another request's, however often a method asks.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lampbench.core.dataset import User
from lampbench.engine.protocol import Completion, GenerateRequest, ScoreRequest, ScoreResult, Served
from lampbench.execution.cache import Cache
from lampbench.execution.journal import JOURNAL, Journal, journal_owner
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest

Q = TypeVar("Q", bound=GenerateRequest | ScoreRequest)
R = TypeVar("R", bound=Completion | ScoreResult)


@dataclass
class _Group(Generic[R]):
    """One user's requests: the entries that answer each, and the journal of those received."""

    user: User
    place: str
    wanted: list[list[str]]
    journal: Journal[R]

    def results(self) -> list[list[R]] | None:
        """Results by request and sample, or None while some are missing."""
        held = self.journal.results
        if any(entry not in held for entries in self.wanted for entry in entries):
            return None
        return [[held[entry] for entry in entries] for entries in self.wanted]


class Gather(Generic[Q, R]):
    """Gathers results by user; what a journal already holds is not asked for again.

    `waiting` are the requests to send, `known` the results that were held from the start, by place.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._groups: list[_Group[R]] = []
        self._entries: dict[str, tuple[_Group[R], str]] = {}
        self.waiting: list[Q] = []
        self.known: dict[str, R] = {}

    def add_user(self, user: User, folder: Path, requests: Sequence[Q]) -> None:
        """Take a user's requests; their results are journaled in `folder`."""
        owner = journal_owner(user.id, folder.relative_to(self._cache.root))
        journal = Journal[R](folder / JOURNAL, owner, _to_json, _from_json, self._cache.say)
        group = _Group(user, owner, [], journal)
        self._groups.append(group)
        most: dict[str, Q] = {}
        for request in requests:
            name = request_digest(request, self._cache.root)
            group.wanted.append(_entries(name, request))
            if name not in most or len(group.wanted[-1]) > len(_entries(name, most[name])):
                most[name] = request
        for name, request in most.items():  # the same request is asked once, for all its samples
            held = {entry: journal.results.get(entry) for entry in _entries(name, request)}
            self.known |= {f"{owner}/{n}": one for n, one in held.items() if one is not None}
            if None in held.values():
                place = f"{request.id} [{len(self._entries)}]"  # errors show it
                self._entries[place] = group, name
                self.waiting.append(dataclasses.replace(request, id=place))

    def ready(self) -> Iterator[tuple[User, list[list[R]]]]:
        """The users whose results were all in their journals from the start."""
        for group in self._groups:
            if (results := group.results()) is not None:
                yield group.user, results

    def place(self, result: R) -> str:
        """Where a result that was waited for is kept, as the names of `known` say it."""
        group, name = self._entries[result.id]
        return f"{group.place}/{_entry_of(name, result)}"

    def add(self, result: R) -> Iterator[tuple[User, list[list[R]]]]:
        """Take a result; yields its user when it was the last one missing."""
        _require_finite(result)
        group, name = self._entries[result.id]
        entry = _entry_of(name, result)
        if entry in group.journal.results:
            return
        group.journal.add(entry, result)
        if (results := group.results()) is not None:
            yield group.user, results


def _entry_of(name: str, result: Completion | ScoreResult) -> str:
    return f"{name}/{result.sample if isinstance(result, Completion) else 0}"


def _entries(name: str, request: GenerateRequest | ScoreRequest) -> list[str]:
    samples = request.samples if isinstance(request, GenerateRequest) else 1
    return [f"{name}/{sample}" for sample in range(samples)]


def request_digest(request: GenerateRequest | ScoreRequest, root: Path) -> str:
    """What a request asks, whatever it is called: prompt, weights, specification, seed, response.

    Adapters are named by their place under `root`, the cache, which holds their key.
    """
    content = dataclasses.asdict(request)
    del content["id"]
    content.pop("samples", None)  # sample i of a request is the same, however many it asks for
    return digest(_portable(content, root), length=32)


def _portable(value: Any, root: Path) -> Any:
    if isinstance(value, Path):
        return value.relative_to(root).as_posix() if value.is_relative_to(root) else str(value)
    if isinstance(value, dict):
        return {key: _portable(held, root) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(held, root) for held in value]
    return value


def _require_finite(result: Completion | ScoreResult) -> None:
    """A model whose numbers overflow gives answers that mean nothing.

    Raises:
        LampbenchError: a log-probability or reward is not a finite number.
    """
    numbers = result.logprobs if isinstance(result, ScoreResult) else result.rewards
    if not all(map(math.isfinite, numbers)):
        what = "log-probability" if isinstance(result, ScoreResult) else "reward"
        raise LampbenchError(
            f"{result.id}: the model gave a {what} that is not a finite number; check its weights, "
            "or try --dtype float32"
        )


def _to_json(result: Completion | ScoreResult) -> dict[str, Any]:
    return dataclasses.asdict(result)


def _from_json(value: dict[str, Any]) -> Any:
    """A completion or scores: where a method asks for both, a user's journal holds both."""
    content: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    if content.get("served") is not None:
        content["served"] = Served(**content["served"])
    return ScoreResult(**content) if "logprobs" in content else Completion(**content)
