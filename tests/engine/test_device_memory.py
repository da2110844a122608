"""A device without enough memory (simulated): smaller batches, the same results."""

import dataclasses

import pytest
import torch

from lampbench.engine.batched import training_mode
from lampbench.engine.batched.decoding_loop import DecodingLoop
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import (
    OPTIM,
    STILL,
    examples,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.trained import tensors

FULL = "CUDA out of memory"


@pytest.fixture
def device(engine):
    """Makes passes of the model fail if `refuses(rows, tokens)`; returns the rows of each pass."""
    hooks = []

    def make(refuses, error=torch.OutOfMemoryError, **options):
        sizes = []

        def look(module, arguments, named):
            rows, tokens = named["input_ids"].shape
            sizes.append(rows)
            if refuses(rows, tokens):
                raise error(FULL)

        model = engine(**options)._model
        hooks.append(model.register_forward_pre_hook(look, with_kwargs=True))
        return sizes

    yield make
    for hook in hooks:
        hook.remove()


def ask(n, weights, spec, **options):
    return GenerateRequest(f"q{n}", prompt(n), weights, spec, **options)


def answers(engine, requests):
    found = list(engine.generate(requests))
    named = {(c.id, c.sample): c for c in found}
    assert len(named) == len(found)
    return named


@pytest.mark.parametrize("kind", ["greedy", "sampled", "contrastive"])
@pytest.mark.parametrize("when", ["reading", "advancing"])
def test_out_of_memory_halves_the_batch(engine, adapters, device, kind, when):
    tam, user, other = adapters()
    spec, rows = {
        "greedy": (GenerationSpec(8), 2),
        "sampled": (GenerationSpec(8, sampling=Sampling(1.0, 0.9)), 2),
        "contrastive": (GenerationSpec(8, contrast=Contrast((tam,), 0.3, 0.1)), 4),
    }[kind]
    samples = 2 if kind == "sampled" else 1
    requests = [ask(n, (tam, (user, other)[n % 2]), spec, samples=samples) for n in range(7)]
    expected = answers(engine(), requests)
    sizes = device(lambda n, tokens: n > rows and (tokens > 1 or when == "advancing"))
    assert answers(engine(), requests) == expected
    assert max(sizes) >= 2 * rows
    assert len(sizes) > 8


def test_out_of_memory_before_the_first_pass_halves_the_batch(engine, monkeypatch):
    """The users' adapters alone fill the memory."""
    requests = [ask(n, (), GenerationSpec(8)) for n in range(7)]
    expected, make = answers(engine(), requests), DecodingLoop.__init__

    def small(self, forward, stacked, settings, slots, *rest):
        if slots > 2:
            raise torch.OutOfMemoryError(FULL)
        make(self, forward, stacked, settings, slots, *rest)

    monkeypatch.setattr(DecodingLoop, "__init__", small)
    assert answers(engine(), requests) == expected


def test_what_was_complete_before_the_memory_was_full_is_not_repeated(engine, device, monkeypatch):
    """The second half of a batch whose rows end at different times no longer fits."""
    stop = frozenset(range(0, len(engine()._encoder.tokenizer), 4))
    monkeypatch.setattr(engine(), "_stop", stop)
    requests = [ask(n, (), GenerationSpec(12)) for n in range(8)]
    expected = answers(engine(), requests)
    calls = []

    def refuses(rows, tokens):
        calls.append(1)
        return len(calls) >= 4 and rows > 2

    device(refuses)
    found = []
    for completion in engine().generate(requests):
        found.append((completion.id, len(calls)))
        assert completion == expected[completion.id, 0]
    assert len(found) == len(dict(found)) == 8
    assert found[0][1] < 4 < found[-1][1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_out_of_memory_in_scoring_halves_the_pass(engine, adapters, device, error):
    """The processor's allocator says it in a plain RuntimeError."""
    tam, user, other = adapters()
    requests = [ScoreRequest(f"s{n}", prompt(n), "Storm " * n, (tam, who))
                for n in range(7) for who in [(user, other)[n % 2]]]  # fmt: skip
    expected = {score.id: score.logprobs for score in engine().score(requests)}
    sizes = device(lambda rows, tokens: rows > 2, error)
    found = {score.id: score.logprobs for score in engine().score(requests)}
    assert found.keys() == expected.keys()
    for name, logs in expected.items():
        assert found[name] == pytest.approx(logs, abs=1e-4)
    assert max(sizes) > 2
    assert len(sizes) > 4


@pytest.mark.parametrize("verb", ["generate", "contrast", "score", "sft", "dpo"])
def test_out_of_memory_with_a_single_row_is_an_error(engine, adapters, device, tmp_path, verb):
    tam, user, _ = adapters()
    device(lambda rows, tokens: True)
    dpo = {"data": preferences(), "start": user, "dpo": DPOSpec(0.5, (tam,))}
    spec = GenerationSpec(8, contrast=Contrast((tam,), 0.3, 0.1) if verb == "contrast" else None)
    results = {
        "generate": lambda: engine().generate([ask(n, (tam, user), spec) for n in range(3)]),
        "score": lambda: engine().score([ScoreRequest("s", prompt(), "x", (tam,))]),
        "sft": lambda: engine().train([job(tmp_path, "u", frozen=(tam,))], no_hook),
        "dpo": lambda: engine().train([job(tmp_path, "u", frozen=(tam,), **dpo)], no_hook),
    }
    results["contrast"] = results["generate"]
    with pytest.raises(LampbenchError, match=r"does not hold one sequence of \d+ tokens") as caught:
        list(results[verb]())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "u" / "adapter").exists()


@pytest.mark.parametrize("verb", ["generate", "score", "train"])
def test_other_errors_are_raised_as_they_are(engine, monkeypatch, tmp_path, verb):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    hook = engine()._model.register_forward_pre_hook(broken)
    try:
        with pytest.raises(RuntimeError, match="shapes"):
            match verb:
                case "generate":
                    list(engine().generate([ask(0, (), GenerationSpec(8))]))
                case "score":
                    list(engine().score([ScoreRequest("s", prompt(), "x", ())]))
                case "train":
                    list(engine().train([job(tmp_path, "u")], no_hook))
    finally:
        hook.remove()
    assert len(list(engine().generate([ask(0, (), GenerationSpec(8))]))) == 1


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_out_of_memory_halves_the_batch_to_the_same_result(
    engine, adapters, tmp_path, device, kind
):
    """The first round fits neither whole nor, once half of it is done, in halves; each user's
    share of the loss stays what it is, and half a gradient is not added to the whole.
    """
    tam, user, _ = adapters()
    optim = dataclasses.replace(OPTIM, batch_size=6)
    given = {"adapter": STILL, "frozen": (tam,), "optim": optim}
    if kind == "dpo":
        given |= {"start": user, "dpo": DPOSpec(0.5, (tam,))}
    made = preferences if kind == "dpo" else examples
    whole, parts = (
        [job(tmp_path / name, f"u{n}", data=made(n), **given) for n in (3, 6)]
        for name in ("whole", "parts")
    )
    expected = {result.id: result for result in engine().train(whole, no_hook)}
    steps, failed = [], []

    def refuses(rows, tokens):
        if torch.is_grad_enabled():
            steps.append(rows)
            if full := rows > 5 or len(steps) == 3:
                failed.append(rows)
            return full
        return False

    device(refuses)
    results = list(engine().train(parts, no_hook))
    assert [rows > 5 for rows in failed] == [True, False]
    for result in results:
        assert result.losses == pytest.approx(expected[result.id].losses, abs=1e-5)
        assert result.margins == pytest.approx(expected[result.id].margins, abs=1e-4)
    for part, same in zip(parts, whole, strict=True):
        ours, theirs = tensors(part.output), tensors(same.output)
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in ours)


def test_answers_between_the_rounds_of_a_training_that_recomputes(engine, tmp_path, monkeypatch):
    """Recomputation leaves the key/value cache out, so it must be off while answers are made."""
    asked = [ask(n, (), GenerationSpec(6)) for n in range(3)]
    expected = answers(engine(), asked)
    monkeypatch.setattr(training_mode, "_LARGE", 0)
    short = job(tmp_path, "short", data=examples(2))
    trained = engine().train([short, job(tmp_path, "long")], no_hook)
    assert next(trained).id == "short"
    assert answers(engine(), asked) == expected
    assert [result.id for result in trained] == ["long"]


def test_a_base_models_dropout_stays_off_where_activations_are_recomputed(
    engine, tmp_path, monkeypatch
):
    layer = engine()._model.model.layers[0]
    seen = []
    hook = layer.self_attn.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    monkeypatch.setattr(training_mode, "_LARGE", 0)
    list(engine().train([job(tmp_path, "u")], no_hook))
    hook.remove()
    assert seen and not any(seen)


def test_recomputed_activations_give_the_same_result(engine, tmp_path, monkeypatch):
    """With dropout: the pass that is repeated sees the same mask."""
    plain, again = job(tmp_path, "plain"), job(tmp_path, "again")
    calls = []
    layer = engine()._model.model.layers[0].mlp
    hook = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    (expected,) = engine().train([plain], no_hook)
    assert len(calls) == 4
    monkeypatch.setattr(training_mode, "_LARGE", 0)
    (result,) = engine().train([again], no_hook)
    hook.remove()
    assert len(calls) == 4 + 2 * 4
    assert result.losses == pytest.approx(expected.losses, abs=1e-5)
    ours, theirs = tensors(again.output), tensors(plain.output)
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in ours)
    assert not engine()._model.is_gradient_checkpointing
