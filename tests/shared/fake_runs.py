"""A small dataset and an engine that computes nothing, but says what it was asked."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lampbench.contract.echo_engine import OneEnginePool
from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import FIDELITIES
from lampbench.engine.pool import EngineOptions, EnginePool
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    GenerateRequest,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
)
from lampbench.execution.cache import Cache
from lampbench.execution.executor import Executor
from lampbench.execution.plan import Plan, make_plan
from lampbench.execution.specification import RunSpecification
from lampbench.paper.presets import defaults
from lampbench.plugin.hyperparameter import ValueSources, parse_set
from lampbench.registry import Registry
from lampbench.util.disk import writing
from lampbench.util.progress import Progress


def number(*parts: object) -> int:
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16)


class Killed(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


class RecordingEngine:
    """Answers from hashes of the request; dies after `budget` results, if one is set."""

    device = "nowhere"

    def __init__(self) -> None:
        self.generated: list[GenerateRequest] = []
        self.scored: list[ScoreRequest] = []
        self.trained: list[TrainJob] = []
        self.combined: list[CombineJob] = []
        self.budget: int | None = None
        self.steps = 2
        self.diverging: set[str] = set()

    def _spend(self) -> None:
        if self.budget is not None:
            self.budget -= 1
            if self.budget < 0:
                raise Killed

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        for request in reversed(requests):  # any order is allowed
            for sample in range(request.samples):
                self._spend()
                name = [adapter_name(path) for path in request.weights]
                text = f"{request.prompt.text[-20:]} {name} {number(request.seed, sample) % 97}"
                self.generated.append(request)
                answer = Completion(request.id, sample, text, (1, 2, 3), 7, (0, 5, 6), 0, False)
                if request.spec.rewards:
                    answer = replace(answer, rewards=(0.5, -1.23456), token_texts=("a", "b"))
                if request.teacher_text is not None:
                    answer = replace(answer, teacher_ids=(1, 2, 4))
                yield answer

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        for request in requests:
            self._spend()
            self.scored.append(request)
            name = [adapter_name(path) for path in request.weights]
            value = -(number(request.response, name) % 1000) / 100
            yield ScoreResult(request.id, (value, -1.0))

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        for job in jobs:
            self._spend()
            self.trained.append(job)
            if job.id in self.diverging:
                yield TrainFailure(job.id, "the loss is nan at step 1")
                continue
            on_step(job.id, 1, 2)
            with writing(job.output):
                job.output.mkdir(parents=True, exist_ok=True)  # a killed run may have left it
                (job.output / "adapter.json").write_text(json.dumps([job.id, number(job.data)]))
            yield TrainResult(job.id, self.steps, 10, 0, (1.0, 0.5))

    def combine(self, job: CombineJob) -> None:
        self._spend()
        self.combined.append(job)
        terms = [[adapter_name(path), factor] for path, factor in job.terms]
        job.output.mkdir(parents=True, exist_ok=True)
        (job.output / "adapter.json").write_text(json.dumps(["sum", number(terms)]))


def adapter_name(path: Path) -> str:
    return (path / "adapter.json").read_text()


class Pool(OneEnginePool[RecordingEngine]):
    """One recording engine for every model."""

    def __init__(self, engine: RecordingEngine) -> None:
        super().__init__(engine, EngineOptions(batch_size=3))

    def batching(self, model: str, engine: str | None = None) -> dict[str, int]:
        return {"decoding_rows": 3}


def person(name: str, records: int = 3, queries: int = 2) -> User:
    history = tuple(
        Record(f"{name}-r{i}", {"text": f"article {i} of {name}"}, f"headline {i} by {name}")
        for i in range(records)
    )
    asked = tuple(
        Query(f"{name}-q{i}", {"text": f"new article {i} of {name}"}, f"new headline {i}")
        for i in range(queries)
    )
    return User(name, history, asked)


@pytest.fixture
def dataset() -> Dataset:
    train = tuple(person(f"other{i}", records=1) for i in range(3))
    test = (person("ann"), person("bob", records=2), person("../../mallory", records=2, queries=1))
    return Dataset("news_headline", "a test", train, test)


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


@pytest.fixture
def on_fake_engine(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> RecordingEngine:
    """The recording engine, in place of the engine of every model."""
    monkeypatch.setattr(EnginePool, "_load", lambda *_: engine)
    return engine


Planner = Callable[..., Plan]


@pytest.fixture
def planner(tmp_path: Path, dataset: Dataset, engine: RecordingEngine) -> Planner:
    """Make plans over the dataset, the engine and one store."""

    def plan(
        method: str = "cope",
        *assignments: str,
        seed: int = 0,
        fidelity: str = "paper",
        plugins: Sequence[Path] = (),
        data: Dataset = dataset,
        cache: str = "cache",
        rewards: bool = False,
        private: bool = False,
    ) -> Plan:
        registry = Registry(plugins)
        task, asked = registry.task("news_headline"), registry.method(method)
        given = dict(parse_set(text) for text in assignments)
        ready, settings = asked.resolved(ValueSources(given, defaults("paper", task)))
        setting = FIDELITIES[fidelity]
        pool = Pool(engine)
        spec = RunSpecification(ready, task, data, "bundled", setting, seed, rewards, private)
        progress = Progress()
        held = Cache(tmp_path / cache, progress.say)
        executor = Executor(spec, held, pool, progress, registry=registry)
        return make_plan(executor, settings, {}, "paper", tmp_path / "results")

    return plan
