"""How far an engine agrees with the reference engine, on a tiny model and on the user's own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from lampbench.engine.capability import Capability, in_words
from lampbench.engine.pool import EnginePool
from lampbench.engine.protocol import Engine, GenerateRequest, ScoreRequest
from lampbench.study.check_machine import Check
from lampbench.study.engine_company import check_company
from lampbench.study.parity_requests import (
    answered_tokens,
    parity_requests,
    parity_scores,
    random_loras,
    scored_logprobs,
)
from lampbench.util.errors import LampbenchError

_REFERENCE = "reference"
TOLERANCES = {"float32": 1e-3}
"""What rounding explains of a difference of log-probabilities, in nats per token, by precision."""
_COARSE = 0.25  # of the other precisions; a real model's single tokens differ by more


@dataclass(frozen=True, slots=True)
class Parity:
    """An engine compared with the reference engine.

    `answers` are greedy answers and `identical` those of them with the same tokens; `divergence` is
    the position of the first token that differs in any of them, from 0, and None where none does.
    `difference` is that of log-probabilities, in nats per token of the response where it is
    largest, and None where the engine does not score. `base_alone` says whether the model without
    adapters answers and scores the same among requests with LoRAs as alone; None for an engine
    without adapters.
    """

    answers: int
    identical: int
    divergence: int | None
    difference: float | None
    base_alone: bool | None


def check_engine(engine: str, models: Sequence[tuple[str, EnginePool]]) -> Iterator[Check]:
    """What an engine needs, and its parity with the reference on some models, one by one.

    Each model is with a pool of engines, which is closed afterwards.
    """
    model, pool = models[0]
    plugin = pool.plugin(engine)
    try:
        missing = plugin.missing_with(pool.setup(model, engine))
    except LampbenchError as error:
        missing = (str(error),)
    if missing:
        yield Check(f"engine {engine}", "wrong", "; ".join(missing))
        return
    lacking = in_words(frozenset(Capability) - plugin.capabilities)
    yield Check(f"engine {engine}", "ok", f"cannot {lacking}" if lacking else "can do everything")
    if not plugin.reads_model_files:
        yield Check("parity", "note", "not measured: the engine's models have no files here that "
                    "the reference engine could load")  # fmt: skip
        for name, own in models[1:]:  # the first one has files
            yield _usable(engine, name, own)
        return
    if engine == _REFERENCE:
        yield Check("parity", "note", "not measured: it is what the others are compared with")
        return
    for model, pool in models:
        name = Path(model).name
        try:
            pool.require_runnable(model, engine)
            found = measure_parity(engine, model, pool)
            company = check_company(engine, model, pool)
        except LampbenchError as error:
            yield Check(f"parity on {name}", "wrong", str(error))
            continue
        finally:
            pool.close()
        tolerance = TOLERANCES.get(pool.dtype(model, engine), _COARSE)
        yield from _told(found, f"on {name}", tolerance)
        if company is not None:
            yield company


def _usable(engine: str, model: str, pool: EnginePool) -> Check:
    try:
        pool.require_used([engine])
        pool.require_runnable(model, engine)
    except LampbenchError as error:
        return Check("model", "wrong", str(error))
    return Check("model", "ok", f"{model}: engine {engine} can be asked for it")


def measure_parity(engine: str, model: str, pool: EnginePool) -> Parity:
    """Ask both engines the same, in one call each, requests with and without LoRAs mixed.

    Raises:
        LampbenchError: one of the engines cannot run the model.
    """
    able = pool.able(model, engine)
    with TemporaryDirectory(prefix="lampbench-parity-") as folder:
        reference = pool.get(model, _REFERENCE)
        loras = random_loras(reference.engine, Path(folder)) if Capability.LORA in able else []
        requests, scores = parity_requests(loras, able), parity_scores(loras, able)
        # one after the other there: those with the same adapters follow each other
        expected = (
            answered_tokens(reference, sorted(requests, key=lambda each: each.weights)),
            scored_logprobs(reference, sorted(scores, key=lambda each: each.weights)),
        )
        asked = pool.get(model, engine)
        found = answered_tokens(asked, requests), scored_logprobs(asked, scores)
        alone = _base_alone(asked, requests, scores, found) if loras else None
    apart = [
        _first_difference(expected[0][name], found[0][name])
        for name in expected[0]
        if expected[0][name] != found[0][name]
    ]
    return Parity(
        len(requests), len(requests) - len(apart), min(apart, default=None),
        _largest_difference(expected[1], found[1]), alone,
    )  # fmt: skip


def _largest_difference(
    expected: Mapping[str, Sequence[float]], found: Mapping[str, Sequence[float]]
) -> float | None:
    """The largest mean absolute difference of a response's log-probabilities; None without any.

    The largest of single tokens would say more of rounding than of the engine: in bfloat16 it grows
    with the number of tokens that are looked at.
    """
    return max(
        (
            fmean(abs(one - other) for one, other in zip(values, found[name], strict=True))
            for name, values in expected.items()
        ),
        default=None,
    )


def _told(found: Parity, where: str, tolerance: float) -> Iterator[Check]:
    share = f"{found.identical} of {found.answers} greedy answers are the reference's"
    if found.divergence is None:
        yield Check(f"answers {where}", "ok", share)
    else:
        text = f"{share}; the first that differs does so at token {found.divergence}"
        mostly = 2 * found.identical >= found.answers  # a near tie may turn here and there
        yield Check(f"answers {where}", "note" if mostly else "wrong", text)
    if found.difference is None:
        yield Check(f"log-probabilities {where}", "note", "the engine does not score")
    else:
        close = found.difference <= tolerance
        text = (f"differ by at most {found.difference:.1e} nats per token of a response "
                f"(rounding explains {tolerance:g})")  # fmt: skip
        yield Check(f"log-probabilities {where}", "ok" if close else "wrong", text)
    if found.base_alone is None:
        yield Check(f"base row {where}", "note", "the engine has no adapters to mix it with")
    elif found.base_alone:
        yield Check(f"base row {where}", "ok", "the same among LoRA rows as alone")
    else:
        text = "the model without adapters answers or scores otherwise among requests with LoRAs"
        yield Check(f"base row {where}", "wrong", f"{text}; do not mix them with this engine")


def _base_alone(
    engine: Engine,
    requests: Sequence[GenerateRequest],
    scores: Sequence[ScoreRequest],
    among: tuple[dict[str, tuple[int, ...]], dict[str, tuple[float, ...]]],
) -> bool:
    """Whether requests without adapters get the same results alone as `among` all of them."""
    answers = answered_tokens(engine, [each for each in requests if not each.weights])
    scored = scored_logprobs(engine, [each for each in scores if not each.weights])
    same = all(among[0][name] == tokens for name, tokens in answers.items())
    return same and all(
        abs(one - other) <= TOLERANCES["float32"]
        for name, values in scored.items()
        for one, other in zip(values, among[1][name], strict=True)
    )


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
