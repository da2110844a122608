"""Contrasts of several sides, each with a prompt of its own, compared with loops over prompts."""

from dataclasses import replace

import pytest
import torch

from lampbench.core.prompt import Piece
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec
from tests.engine.engine_inputs import prompt

HISTORY = Piece("The quick brown fox jumps over the bridge. The town closed the harbour. ", 2)
ARCHITECTURES = ("llama", "mistral", "gemma", "qwen")


def with_history(n, times=1):
    return prompt(n).before(*[HISTORY] * times)


def aware(n, strength=0.75, weights=(), **options):
    """(1 + a) log p(y | history, x) - a log p(y | x) under the same weights."""
    contrast = Contrast(weights, strength, 0.0, own=1 + strength)
    spec = GenerationSpec(16, contrast=contrast, **options)
    return GenerateRequest(f"q{n}", with_history(n, n), weights, spec, other_prompts=(prompt(n),))


def answers(engine, requests):
    return {c.id: c for c in engine.generate(requests)}


def ids_of(engine, asked):
    return list(engine._encoder.encode_prompt("q", asked, engine._encoder.context - 16).ids)


def log_p(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].double().log_softmax(-1)


def looped(models, prompts, factors, stop, budget=16):
    """Tokens of the highest sum of factor x log p, each from whole sequences."""
    sequences, chosen = [list(ids) for ids in prompts], []
    for _ in range(budget):
        logs = [log_p(model, ids) for model, ids in zip(models, sequences, strict=True)]
        token = int(sum(f * log for f, log in zip(factors, logs, strict=True)).argmax())
        if token in stop:
            break
        chosen.append(token)
        for ids in sequences:
            ids.append(token)
    return tuple(chosen)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_two_prompts_equal_a_loop_without_cache(engine, merged_model, name):
    """Context-aware decoding (Shi et al., 2023), token by token, in a batch."""
    made, model = engine(name), merged_model(name)
    found = answers(made, [aware(n) for n in range(4)])
    for n in range(4):
        pair = [ids_of(made, with_history(n, n)), ids_of(made, prompt(n))]
        assert (pair[0] == pair[1]) == (n == 0)
        assert found[f"q{n}"].token_ids == looped([model, model], pair, [1.75, -0.75], made._stop)
        assert found[f"q{n}"].prompt_tokens == len(pair[0])


def test_the_other_prompt_and_the_strength_matter(engine):
    """Otherwise the test before this one would show little."""
    texts = [answers(engine(), [aware(n, strength) for n in range(1, 4)]) for strength in (0, 1)]
    assert texts[0]["q3"].token_ids != texts[1]["q3"].token_ids
    plain = [GenerateRequest(f"q{n}", with_history(n, n), (), GenerationSpec(16)) for n in (1, 3)]
    assert all(texts[0][id].token_ids == c.token_ids for id, c in answers(engine(), plain).items())


def test_three_sides_with_prompts_and_weights_of_their_own(engine, merged_model, adapters):
    """log p_own + 2 (log p_expert - log p_antiexpert), each under other weights and prompts."""
    tam, user, _ = adapters()
    made = engine()
    models = [merged_model("llama"), merged_model("llama", tam, user), merged_model("llama", tam)]
    contrast = Contrast((tam, user), -2.0, 0.0, more=(((tam,), -2.0),))
    spec = GenerationSpec(16, contrast=contrast, rewards=True)
    requests = [
        GenerateRequest(f"q{n}", prompt(n), (), spec, other_prompts=(with_history(n), None))
        for n in range(3)
    ]
    found = answers(made, requests)
    for n in range(3):
        plain = ids_of(made, prompt(n))
        prompts = [plain, ids_of(made, with_history(n)), plain]
        expected = looped(models, prompts, [1.0, 2.0, -2.0], made._stop)
        assert found[f"q{n}"].token_ids == expected
        logs = [log_p(model, ids)[expected[0]] for model, ids in zip(models, prompts, strict=True)]
        reward = float(logs[0] + 2 * logs[1] - 2 * logs[2])
        assert found[f"q{n}"].rewards[0] == pytest.approx(reward, abs=1e-3)


def every_kind(tam, user, other):
    """Pairs and triples of users, with and without prompts and weights of their own."""
    triple = Contrast((tam, user), -1.0, 0.0, more=(((tam,), -1.0),))
    pair = Contrast((tam,), 0.3, 0.1)
    return [
        *[replace(aware(n, weights=w), id=f"aware{n}") for n, w in
          enumerate([(), (tam, user), (tam, other), (tam, user), (tam,)])],
        aware(1, repetition_penalty=1.3),
        aware(2, repetition_penalty=1.3, penalty_on="logits", weights=(tam,)),
        *[GenerateRequest(f"triple{n}", prompt(n), (), GenerationSpec(16, contrast=triple),
                          other_prompts=(with_history(n), None)) for n in range(3)],
        *[GenerateRequest(f"pair{n}", with_history(n, 2), (tam, who), GenerationSpec(
            16, 1.2, contrast=pair, rewards=True), other_prompts=(prompt(n),))
          for n, who in enumerate([user, other, user])],
        GenerateRequest("forced", with_history(1), (tam, user), GenerationSpec(16, contrast=pair),
                        other_prompts=(prompt(2),), teacher_text="Storm closes the harbour"),
        GenerateRequest("shared", prompt(3), (tam, user), GenerationSpec(16, contrast=pair)),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_no_side_depends_on_its_batch(engine, adapters, name, monkeypatch):
    """A sixth of the tokens ends an answer, so that answers leave their batches all the time."""
    for made in (engine(name), engine(name, batch_size=1), engine(name, batch_size=5)):
        monkeypatch.setattr(made, "_stop", frozenset(range(2, len(made._encoder.tokenizer), 6)))
    requests = every_kind(*adapters(name))
    together = answers(engine(name), requests)
    assert len({len(c.token_ids) for c in together.values()}) > 2
    for made, order in [(engine(name), -1), (engine(name, batch_size=1), 1),
                        (engine(name, batch_size=5), 1)]:  # fmt: skip
        for id, found in answers(made, requests[::order]).items():
            assert found.token_ids == together[id].token_ids
            assert found.rewards == pytest.approx(together[id].rewards, abs=1e-4)


def test_both_engines_agree(engine, adapters, reference):
    requests = every_kind(*adapters())
    ours, theirs = answers(engine(), requests), answers(reference, requests)
    assert len(ours) == len(requests)
    for id, found in theirs.items():
        assert replace(ours[id], rewards=()) == replace(found, rewards=())
        assert ours[id].rewards == pytest.approx(found.rewards, abs=1e-4)


def test_the_penalty_counts_the_own_prompt_alone(engine):
    """The other side counts for nothing here but shows the very words of the answer."""
    made = engine()
    plain = GenerationSpec(16, 7.0)
    (expected,) = made.generate([GenerateRequest("q2", with_history(2, 2), (), plain)])
    shown = prompt(2).before(Piece(expected.text * 2))
    assert set(expected.token_ids) & (set(ids_of(made, shown)) - set(ids_of(made, prompt(2))))
    request = replace(aware(2, strength=0.0, repetition_penalty=7.0), other_prompts=(shown,))
    (found,) = made.generate([request])
    assert found.token_ids == expected.token_ids
    own = replace(request, prompt=request.prompt.before(Piece(expected.text * 2)))
    (penalised,) = made.generate([own])
    assert penalised.token_ids != expected.token_ids


def test_what_is_dropped_from_any_prompt_is_counted(engine):
    long = prompt(article="storm " * 400)
    spec = GenerationSpec(8, contrast=Contrast((), 0.5, 0.0))
    both = GenerateRequest("a", long, (), spec, other_prompts=(prompt(1),))
    other = GenerateRequest("b", prompt(1), (), spec, other_prompts=(long,))
    same = GenerateRequest("c", long, (), spec)
    dropped = {c.id: c.prompt_tokens_dropped for c in engine().generate([both, other, same])}
    assert dropped["a"] == dropped["b"] == dropped["c"] > 100


def test_a_prompt_per_side_or_none():
    spec = GenerationSpec(8, contrast=Contrast((), 0.5, 0.0))
    with pytest.raises(ValueError, match="2 prompts for 1 other sides"):
        GenerateRequest("q", prompt(), (), spec, other_prompts=(prompt(), prompt()))
    with pytest.raises(ValueError, match="1 prompts for 0 other sides"):
        GenerateRequest("q", prompt(), (), GenerationSpec(8), other_prompts=(prompt(),))
