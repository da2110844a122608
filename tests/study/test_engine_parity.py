"""doctor --engine: an engine that agrees, and one that gives a base row the last adapter."""

from dataclasses import replace

import pytest

from lampbench.contract.tiny_model import save_tiny_model
from lampbench.core.fidelity import PAPER
from lampbench.engine.capability import Capability
from lampbench.engine.engine_plugin import EnginePlugin
from lampbench.engine.pool import EngineOptions, EnginePool
from lampbench.execution.cache import Cache
from lampbench.registry import Registry
from lampbench.study import engine_company
from lampbench.study.engine_company import check_company
from lampbench.study.engine_parity import check_engine, measure_parity
from lampbench.util.progress import Progress


class MixesRows:
    """As vLLM on a CPU did: among LoRAs, a row without one gets the last one's place."""

    def __init__(self, engine):
        self.engine = engine

    def _mixed(self, requests):
        last = next((each.weights for each in reversed(requests) if each.weights), ())
        return [each if each.weights else replace(each, weights=last) for each in requests]

    def generate(self, requests):
        return self.engine.generate(self._mixed(requests))

    def score(self, requests):
        return self.engine.score(self._mixed(requests))


class Mixing(EnginePlugin):
    name = "mixing"
    summary = "gives a base row the last adapter"
    capabilities = frozenset({Capability.GENERATE, Capability.SCORE, Capability.LORA})

    def open(self, setup):
        return MixesRows(Registry().engine("reference").open(setup))


class Shifted:
    """Scores of which the first tokens of each response are wrong by 0.3 nats."""

    def __init__(self, engine, tokens):
        self.engine, self.tokens = engine, tokens

    def generate(self, requests):
        return self.engine.generate(requests)

    def score(self, requests):
        for found in self.engine.score(requests):
            first, rest = found.logprobs[: self.tokens], found.logprobs[self.tokens :]
            yield replace(found, logprobs=(*(value - 0.3 for value in first), *rest))


class Shifting(EnginePlugin):
    name = "shifting"
    summary = "is wrong by 0.3 nats"
    capabilities = frozenset({Capability.GENERATE, Capability.SCORE})

    def __init__(self, tokens):
        self.tokens = tokens

    def open(self, setup):
        return Shifted(Registry().engine("reference").open(setup), self.tokens)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def pool(tmp_path):
    def make(plugin, dtype="float32", **given):
        cache = Cache(tmp_path / "cache", print)
        found = {plugin.name: plugin}
        options = EngineOptions(
            device="cpu", dtype=dtype, engine=plugin.name, engine_arguments={plugin.name: given}
        )
        return EnginePool(options, PAPER, cache, Progress(),
                          lambda name: found.get(name) or Registry().engine(name))  # fmt: skip

    return make


def states(found):
    return {check.name.partition(" on ")[0]: check.state for check in found}


def test_the_batched_engine_agrees(pool, tiny):
    made = pool(Registry().engine("batched"))
    found = measure_parity("batched", tiny, made)
    assert found.identical == found.answers > 6
    assert found.divergence is None and found.base_alone is True
    assert found.difference is not None and found.difference < 1e-4
    told = states(check_engine("batched", [(tiny, made)]))
    assert told == {"engine batched": "ok", "answers": "ok", "log-probabilities": "ok",
                    "base row": "ok"}  # fmt: skip
    assert not made._open


def test_an_engine_that_mixes_rows_is_found(pool, tiny):
    made = pool(Mixing())
    found = measure_parity("mixing", tiny, made)
    assert found.identical < found.answers
    assert found.divergence is not None
    assert found.base_alone is False
    told = states(check_engine("mixing", [(tiny, made)]))
    assert told["base row"] == told["log-probabilities"] == "wrong"


@pytest.mark.parametrize(("tokens", "state"), [(1, "ok"), (1000, "wrong")])
def test_in_bfloat16_single_tokens_may_differ(pool, tiny, tokens, state):
    made = pool(Shifting(tokens), dtype="bfloat16")
    assert states(check_engine("shifting", [(tiny, made)]))["log-probabilities"] == state


def test_in_float32_no_token_may_differ(pool, tiny):
    told = states(check_engine("shifting", [(tiny, pool(Shifting(1)))]))
    assert told["log-probabilities"] == "wrong"


def test_an_engine_that_cannot_be_opened_is_one_line(pool, tmp_path):
    (failed,) = check_engine("batched", [(str(tmp_path), pool(Registry().engine("batched")))])
    assert failed.state == "wrong" and "no model in this folder" in failed.text


def test_weights_that_are_damaged_are_one_line(pool, tmp_path):
    model = save_tiny_model(tmp_path / "damaged")
    (model / "model.safetensors").write_bytes(b"nothing")
    made = pool(Registry().engine("batched"))
    (check, failed) = check_engine("batched", [(str(model), made)])
    assert (check.state, failed.state) == ("ok", "wrong")
    assert "\n" not in failed.text


def test_a_batch_invariant_engine_is_asked_alone_too(pool, tiny, monkeypatch):
    """And scores that depend on how many there are, are found."""
    batched = Registry().engine("batched")
    given = {"dtype": "bfloat16", "batch_invariant": True}
    found = list(check_engine("batched", [(tiny, pool(batched, **given))]))
    assert (found[-1].name.partition(" on ")[0], found[-1].state) == ("company", "ok")
    monkeypatch.setattr(
        engine_company, "scored_logprobs", lambda _, asked: {s.id: (len(asked),) for s in asked}
    )
    made = pool(batched, **given)
    told = check_company("batched", tiny, made)
    assert told is not None and told.state == "wrong"
    assert "of the log-probabilities of a storm on the coast" in told.text
    made.close()
    assert check_company("batched", tiny, pool(batched)) is None
