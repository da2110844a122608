"""Whether the results of a batch-invariant engine have the same bits alone as among others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from lampbench.engine.pool import EnginePool
from lampbench.engine.protocol import Engine, TrainJob
from lampbench.study.check_machine import Check
from lampbench.study.parity_requests import (
    answered_tokens,
    parity_jobs,
    parity_lora,
    parity_requests,
    parity_scores,
    random_loras,
    scored_logprobs,
)

_Asked = TypeVar("_Asked")


def check_company(engine: str, model: str, pool: EnginePool) -> Check | None:
    """Ask everything at once and one by one; None where `batch_invariant` was not asked for.

    Raises:
        LampbenchError: the engine cannot run the model.
    """
    if not pool.argument(engine, "batch_invariant"):
        return None
    different = list(_different(engine, model, pool))
    name = f"company on {Path(model).name}"
    if not different:
        text = "answers, log-probabilities and trained adapters have the same bits alone"
        return Check(name, "ok", text)
    more = f" and of {len(different) - 1} more" if different[1:] else ""
    return Check(name, "wrong", f"other bits alone than among others, of {different[0]}{more}; "
                 "leave out batch_invariant, or use --engine reference")  # fmt: skip


def _different(engine: str, model: str, pool: EnginePool) -> Iterator[str]:
    """What has other bits alone than among the others."""
    able = pool.able(model, engine)
    with TemporaryDirectory(prefix="lampbench-company-") as folder:
        reference: Any = pool.get(model, "reference").engine
        loras, lora = random_loras(reference, Path(folder)), parity_lora(reference.model)
        scores = [
            replace(score, response=" ".join([score.response] * (1 + n % 4)))
            for n, score in enumerate(parity_scores(loras, able))
        ]
        asked = pool.get(model, engine)
        requests = parity_requests(loras, able)
        every, single = (parity_jobs(lora, Path(folder) / name) for name in ("all", "single"))
        yield from _apart("answer to", answered_tokens, asked, requests, requests)
        yield from _apart("log-probabilities of", scored_logprobs, asked, scores, scores)
        yield from _apart("adapter of", _adapters, asked, every, single)


def _apart(
    what: str,
    ask: Callable[[Engine, Sequence[_Asked]], Mapping[str, object]],
    engine: Engine,
    together: Sequence[_Asked],
    one_by_one: Sequence[_Asked],
) -> Iterator[str]:
    expected = ask(engine, together)
    for one in one_by_one:
        for name, value in ask(engine, [one]).items():
            if value != expected[name]:
                yield f"the {what} {name}"


def _adapters(engine: Engine, jobs: Sequence[TrainJob]) -> dict[str, bytes]:
    """The files of trained adapters by job."""
    list(engine.train(jobs, lambda *_: None))
    return {job.id: (job.output / "adapter_model.safetensors").read_bytes() for job in jobs}
