"""What bfloat16 changes of a real model on a CPU, and what it saves: beside the same in float32.

    python -m benchmarks.precision --model smollm2-135m

A model is published in bfloat16 and can be run in float32 with the same weights. Both score what
users of the bundled data wrote, and both answer and train.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import click
import torch

from benchmarks import timing
from benchmarks.results_file import RESULTS, write_results
from lampbench.core.dataset import Dataset, User
from lampbench.core.fidelity import PAPER
from lampbench.core.prompt import Prompt
from lampbench.data import DataOptions, load_dataset
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.models import resolve_model
from lampbench.engine.packaged_model import converted
from lampbench.engine.protocol import (
    Completion,
    Contrast,
    GenerateRequest,
    GenerationSpec,
    LoraSpec,
    OptimSpec,
    ScoreRequest,
    SFTExample,
    TrainJob,
    Weights,
)
from lampbench.execution.cache import Cache
from lampbench.plugin import Task
from lampbench.registry import Registry
from lampbench.study.chosen_tokens import token_changes

PARTS = ("likelihood", "answers", "choices", "price")
EXACT, LOW = "float32", "bfloat16"
TAM = LoraSpec(16, 16, 0.05, ("q_proj", "k_proj", "v_proj", "o_proj"))
OPTIM = OptimSpec(3e-4, 1, 8, 0.01, 0.1, 0.3)
Engines = Mapping[str, BatchedEngine]
ALPHA, TAU = 0.7, 0.1  # of CoPe on headlines, with smollm2-135m
_BUDGET = 64  # tokens of an answer that may end earlier


def asked(task: Task, users: Iterable[User]) -> list[tuple[Prompt, str]]:
    """The prompt and the reference of each user's first query."""
    firsts = [user.queries[0] for user in users]
    return [(task.prompt(query.fields), query.reference or "") for query in firsts]


def likelihoods(engines: Engines, texts: Sequence[tuple[Prompt, str]]) -> dict[str, Any]:
    """Nats per token that the references lose: bfloat16's loss minus that of float32."""
    requests = [ScoreRequest(str(n), *text, ()) for n, text in enumerate(texts)]
    losses = {
        name: {found.id: -fmean(found.logprobs) for found in engine.score(requests)}
        for name, engine in engines.items()
    }
    lost = [losses[LOW][request.id] - losses[EXACT][request.id] for request in requests]
    return {
        "texts": len(lost),
        **{f"nats per token, {name}": fmean(found.values()) for name, found in losses.items()},
        "lost": fmean(lost),
        "standard error": stdev(lost) / len(lost) ** 0.5,
        "size": fmean(map(abs, lost)),
    }


def answers(engines: Engines, task: Task, data: Dataset, home: Path) -> dict[str, Any]:
    """How many greedy answers are the same: decoded, or trained, in one precision or the other.

    In each, an adapter of TAM's shape is trained on the first queries of four times as many
    training users.
    """
    examples = asked(task, data.train_users[: 4 * len(data.test_users)])
    for name, engine in engines.items():
        _train(engine, examples, home / name)
    requests = [task.prompt(query.fields) for user in data.test_users for query in user.queries]
    spec = GenerationSpec(_BUDGET)
    found: dict[tuple[str, str], list[str]] = {}
    for trained in engines:
        weights = (home / trained / "adapter",)
        for name, engine in engines.items():
            given = [GenerateRequest(str(n), p, weights, spec) for n, p in enumerate(requests)]
            found[trained, name] = [one.text for one in _in_order(engine, given)]
            print(f"  trained in {trained}, decoded in {name}", file=sys.stderr)

    def same(one: tuple[str, str], other: tuple[str, str]) -> int:
        return sum(a == b for a, b in zip(found[one], found[other], strict=True))

    return {
        "answers": len(requests),
        "same, decoded in both, trained in float32": same((EXACT, EXACT), (EXACT, LOW)),
        "same, decoded in both, trained in bfloat16": same((LOW, EXACT), (LOW, LOW)),
        "same, trained in both, decoded in float32": same((EXACT, EXACT), (LOW, EXACT)),
        "same, trained in both, decoded in bfloat16": same((EXACT, LOW), (LOW, LOW)),
    }


def choices(engines: Engines, task: Task, data: Dataset, home: Path) -> dict[str, Any]:
    """Where the precisions choose another next token along the users' own texts, and who is right.

    Greedy and contrasted, by one model, trained in float32: an adapter of TAM's shape, and on top
    of it another on as many examples more, which is contrasted with the first as a user's is.
    """
    more = 4 * len(data.test_users)
    task_home, own_home = home / "task", home / "own"
    beneath = (task_home / "adapter",)
    _train(engines[EXACT], asked(task, data.train_users[:more]), task_home)
    _train(engines[EXACT], asked(task, data.train_users[more : 2 * more]), own_home, beneath)
    weights = (*beneath, own_home / "adapter")
    texts = [
        (task.prompt(query.fields), query.reference)
        for user in data.test_users for query in user.queries if query.reference
    ]  # fmt: skip
    counts: dict[str, Any] = {"alpha": ALPHA, "tau": TAU}
    for name, contrast in (("greedy", None), ("contrasted", Contrast(beneath, ALPHA, TAU))):
        spec = GenerationSpec(_BUDGET, contrast=contrast)
        given = [
            GenerateRequest(str(n), prompt, weights, spec, teacher_text=text)
            for n, (prompt, text) in enumerate(texts)
        ]
        found = token_changes(*(_in_order(engines[which], given) for which in (EXACT, LOW)))
        counts[name] = {
            "tokens": found.tokens,
            "other token": found.changed,
            f"right in {EXACT} only": found.before,
            f"right in {LOW} only": found.after,
        }
    return counts


def _in_order(engine: BatchedEngine, requests: Sequence[GenerateRequest]) -> list[Completion]:
    found = {one.id: one for one in engine.generate(requests)}
    return [found[request.id] for request in requests]


def _train(
    engine: BatchedEngine,
    texts: Sequence[tuple[Prompt, str]],
    home: Path,
    beneath: Weights = (),
) -> None:
    shutil.rmtree(home, ignore_errors=True)
    examples = tuple(SFTExample(*text) for text in texts)
    job = TrainJob("tam", beneath, examples, TAM, OPTIM, 0, home / "adapter", home / "scratch")
    list(engine.train([job], lambda *_: None))


def price(
    engines: Engines, texts: Sequence[tuple[Prompt, str]], tokens: int, rounds: int, home: Path
) -> dict[str, Any]:
    """Processor time in float32 divided by that in bfloat16."""
    scored = [ScoreRequest(str(n), *text, ()) for n, text in enumerate(texts)]
    spec = GenerationSpec(tokens, min_new_tokens=tokens)
    answered = [GenerateRequest(str(n), text[0], (), spec) for n, text in enumerate(texts)]

    def works(name: str) -> dict[str, Callable[[], object]]:
        engine = engines[name]
        return {
            "score": lambda: list(engine.score(scored)),
            "greedy": lambda: list(engine.generate(answered)),
            "sft": lambda: _train(engine, texts, home / name),
        }

    found = {}
    by_precision = {name: works(name) for name in engines}
    for kind in by_precision[LOW]:
        pair = {name: work[kind] for name, work in by_precision.items()}
        taken = timing.paired(pair, rounds, engines[LOW].device, timing.processor_seconds)
        found[kind] = timing.ratio(taken[EXACT], taken[LOW])
    return found


@click.command()
@click.option("--model", default="smollm2-135m", show_default=True)
@click.option("--task", multiple=True, default=("news_headline", "scholarly_title"))
@click.option("--part", multiple=True, type=click.Choice(PARTS), default=PARTS)
@click.option("--users", type=click.IntRange(min=2), default=24, show_default=True,
              help="Texts of a task, one per user.")  # fmt: skip
@click.option("--tokens", default=16, show_default=True, help="Tokens of an answer.")
@click.option("--rounds", default=3, show_default=True, help="Rounds that are measured.")
@click.option("--cache-dir", type=click.Path(path_type=Path), default=Path(".lampbench/cache"))
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(
    model: str,
    task: tuple[str, ...],
    part: tuple[str, ...],
    users: int,
    tokens: int,
    rounds: int,
    cache_dir: Path,
    output: Path,
) -> None:
    """Compare both precisions on one core; writes precision-MODEL.json."""
    torch.set_num_threads(1)
    spec = converted(resolve_model(model), Cache(cache_dir, print))
    engines = {
        name: BatchedEngine(spec, device="cpu", dtype=name, chat_template=None, fidelity=PAPER)
        for name in (EXACT, LOW)
    }
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        for name in task:
            plugin = Registry().task(name)
            data = load_dataset(plugin, "bundled", DataOptions(users=users))
            texts = asked(plugin, data.test_users)
            parts: dict[str, Callable[[], dict[str, Any]]] = {
                "likelihood": partial(likelihoods, engines, texts),
                "answers": partial(answers, engines, plugin, data, Path(home)),
                "choices": partial(choices, engines, plugin, data, Path(home)),
                "price": partial(price, engines, texts, tokens, rounds, Path(home)),
            }
            for kind in part:
                results[f"{kind} {name}"] = parts[kind]()
                print(kind, name, results[f"{kind} {name}"], file=sys.stderr)
    settings = {"model": model, "threads": 1, "users": users, "tokens": tokens, "rounds": rounds}
    write_results(f"precision-{model}", settings, results, output)


if __name__ == "__main__":
    main()
