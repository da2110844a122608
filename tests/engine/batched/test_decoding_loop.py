"""Answers, compared with transformers' generate, in any batch."""

from collections import Counter

import pytest
import torch

from lampbench.engine.batched import decoding_loop
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, Sampling
from lampbench.util.errors import LampbenchError
from tests.engine.batched.asking import answers, ask, encoded, last, looped
from tests.engine.engine_inputs import MODELS, prompt

PENALTIES = [(1.0, "scores"), (1.3, "scores"), (7.0, "scores"), (1.3, "logits")]


@pytest.mark.parametrize("name", MODELS)
def test_greedy_equals_generate(engine, merged_model, adapters, name):
    """A user's adapters in a padded batch, compared with PEFT's merge and a batch of one."""
    tam, user, _ = adapters(name)
    made, model = engine(name), merged_model(name, tam, user)
    found = answers(made, [ask(n, (tam, user), GenerationSpec(20)) for n in range(5)])
    for n in range(5):
        ids = torch.tensor([encoded(made, n)])
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False,
            eos_token_id=sorted(made._stop), pad_token_id=0,
        )[0, ids.shape[1]:].tolist()  # fmt: skip
        stop = set(made._stop)
        kept = [token for token in whole if token not in stop]
        completion = found[f"q{n}", 0]
        assert list(completion.token_ids) == kept
        assert completion.truncated == (whole[-1] not in stop)
        assert completion.prompt_tokens == ids.shape[1]
        assert completion.prompt_head == tuple(ids[0, :8].tolist())
        assert completion.text == made._encoder.decode(kept)


@pytest.mark.parametrize(("penalty", "on"), PENALTIES)
def test_greedy_with_a_penalty_equals_transformers_processor(
    engine, merged_model, adapters, penalty, on
):
    from transformers import RepetitionPenaltyLogitsProcessor

    tam, _, _ = adapters()
    made, model = engine(), merged_model("llama", tam)
    process = RepetitionPenaltyLogitsProcessor(penalty)

    def step(ids):
        scores = last(model, ids)
        scores = scores if on == "logits" else scores.log_softmax(-1)
        return process(ids, scores).argmax().item()

    found = answers(made, [ask(n, (tam,), GenerationSpec(20, penalty, on)) for n in range(4)])
    for n in range(4):
        assert found[f"q{n}", 0].token_ids == looped(made, n, 20, step)


@pytest.mark.parametrize(
    ("contrasting", "steps", "invariant"),
    [(False, 1, False), (True, 1, False), (True, 3, False), (True, 1, True)],
)
def test_teacher_forcing_chooses_after_the_texts_own_tokens(
    engine, merged_model, adapters, contrasting, steps, invariant, monkeypatch
):
    """Texts of different lengths beside a free answer; no stop token ends a forced one."""
    monkeypatch.setattr(decoding_loop, "_CPU_STEPS", steps)
    tam, user, _ = adapters()
    made = engine(batch_invariant=invariant)
    expert, amateur = merged_model("llama", tam, user), merged_model("llama", tam)
    texts = ["Storm closes harbour", "", "The quick brown fox jumps over the old bridge", None]
    contrast = Contrast((tam,), 0.5, 0.1) if contrasting else None
    spec = GenerationSpec(6, 1.3, contrast=contrast)

    def step(ids):
        log_user, log_base = (last(model, ids).log_softmax(-1)[0] for model in (expert, amateur))
        scores = log_user
        if contrasting:
            out = log_user < log_user.max() + torch.tensor(0.1).log()
            scores = (log_user - 0.5 * log_base).masked_fill(out, -float("inf"))
        seen = ids[0].unique()
        scores[seen] = torch.where(scores[seen] < 0, scores[seen] * 1.3, scores[seen] / 1.3)
        return scores.argmax().item()

    requests = [ask(n, (tam, user), spec, teacher_text=text) for n, text in enumerate(texts)]
    for stop in (made._stop, made._stop | {step(torch.tensor([encoded(made, 0)]))}):
        monkeypatch.setattr(made, "_stop", stop)
        found = answers(made, requests)
        for n, text in enumerate(texts[:3]):
            forced = made._encoder.encode_response(text)[:6]
            ids = [*encoded(made, n), *forced]
            begin = len(ids) - len(forced)
            expected = [step(torch.tensor([ids[:end]])) for end in range(begin, len(ids))]
            assert found[f"q{n}", 0].teacher_ids == forced
            assert list(found[f"q{n}", 0].token_ids) == expected
        assert found["q3", 0].teacher_ids == ()
        assert found["q3", 0].token_ids == looped(made, 3, 6, step)


@pytest.mark.parametrize("name", ["llama", "gemma"])
@pytest.mark.parametrize("kind", ["greedy", "sampled", "contrastive"])
def test_no_answer_depends_on_its_batch(engine, adapters, name, kind, monkeypatch):
    """All at once, in another order, and each alone in an engine of batch size one.

    Nor on how many steps are taken before the loop looks which answers have ended.

    A sixth of the tokens ends an answer here, so that answers leave their batches all the time.
    """
    tam, user, other = adapters(name)
    for made in (engine(name), engine(name, batch_size=1), engine(name, batch_size=4)):
        monkeypatch.setattr(made, "_stop", frozenset(range(2, len(made._encoder.tokenizer), 6)))
    spec = {
        "greedy": GenerationSpec(16, 1.2),
        "sampled": GenerationSpec(16, 1.2, sampling=Sampling(1.0, 0.9)),
        "contrastive": GenerationSpec(16, 1.2, contrast=Contrast((tam,), 0.3, 0.1)),
    }[kind]
    samples = 5 if kind == "sampled" else 1
    requests = [
        ask(n, (tam, who), spec, samples=samples, seed=n)
        for n, who in enumerate([user, other, user, user, other, user])
    ]
    together = answers(engine(name), requests)
    assert len(together) == 6 * samples
    assert len({len(c.token_ids) for c in together.values()}) > 2
    assert answers(engine(name), requests[::-1]) == together
    assert answers(engine(name, batch_size=1), requests) == together
    for steps in (3, 100):
        monkeypatch.setattr(decoding_loop, "_CPU_STEPS", steps)
        assert answers(engine(name), requests) == together
        assert answers(engine(name, batch_size=4), requests) == together


def test_padding_is_not_penalised(engine, adapters, monkeypatch):
    """Answers beside a longer prompt, padded with the very token that comes next."""
    tam, user, _ = adapters()
    made = engine()
    for contrast in (None, Contrast((tam,), 0.3, 0.1)):
        spec = GenerationSpec(8, 7.0, contrast=contrast)
        short, long = ask(0, (tam, user), spec), ask(4, (tam, user), spec)
        (alone,) = made.generate([short])
        token = alone.token_ids[0]
        assert token not in encoded(made, 0)
        assert len(encoded(made, 0)) < len(encoded(made, 4))
        monkeypatch.setattr(made, "_pad", token)
        assert answers(made, [short, long])["q0", 0] == alone


def test_samples_are_different_and_repeatable(engine, adapters):
    tam, _, _ = adapters()
    spec = GenerationSpec(12, sampling=Sampling(1.0, 1.0))
    first = answers(engine(), [ask(1, (tam,), spec, samples=4, seed=11)])
    again = answers(engine(), [ask(1, (tam,), spec, samples=4, seed=11)])
    other = answers(engine(), [ask(1, (tam,), spec, samples=4, seed=12)])
    assert first == again
    assert len({c.token_ids for c in first.values()} | {c.token_ids for c in other.values()}) == 8


def test_a_sample_does_not_depend_on_how_many_there_are(engine, adapters):
    tam, _, _ = adapters()
    spec = GenerationSpec(12, sampling=Sampling(1.0, 1.0))
    few = answers(engine(), [ask(1, (tam,), spec, samples=1, seed=11)])
    many = answers(engine(), [ask(1, (tam,), spec, samples=5, seed=11)])
    assert few["q1", 0] == many["q1", 0]


def test_samples_follow_the_models_distribution(engine, merged_model, adapters):
    tam, _, _ = adapters()
    made = engine(batch_size=500)
    expected = last(merged_model("llama", tam), torch.tensor([encoded(made, 1)])).softmax(-1)[0]
    spec = GenerationSpec(1, sampling=Sampling(1.0, 1.0))
    found = answers(made, [ask(1, (tam,), spec, samples=2000, seed=0)])
    counts = Counter(c.token_ids[0] if c.token_ids else None for c in found.values())
    for token in expected.topk(3).indices.tolist():
        if token not in made._stop:
            assert counts[token] / 2000 == pytest.approx(float(expected[token]), abs=0.04)


def test_a_stop_token_ends_an_answer_and_is_no_part_of_it(engine, adapters, monkeypatch):
    tam, _, _ = adapters()
    made = engine()
    (free,) = made.generate([ask(1, (tam,), GenerationSpec(12))])
    assert free.truncated
    assert len(free.token_ids) == 12
    at = next(i for i, t in enumerate(free.token_ids) if t not in free.token_ids[:i] and i > 2)
    monkeypatch.setattr(made, "_stop", frozenset([3, free.token_ids[at]]))
    (ended,) = made.generate([ask(1, (tam,), GenerationSpec(12))])
    assert not ended.truncated
    assert ended.token_ids == free.token_ids[:at]


def test_stop_ids_are_the_models_the_tokenizers_and_the_templates(engine):
    for name, ends in [("llama", {"<|end_of_text|>", "<|eot_id|>"}), ("qwen", {"<|im_end|>"}),
                       ("gemma", {"<eos>", "<end_of_turn>"}), ("mistral", {"</s>"})]:  # fmt: skip
        made = engine(name)
        tokens = made._encoder.tokenizer.convert_ids_to_tokens(made._stop)
        assert set(tokens) == ends


def test_a_long_prompt_is_shortened_and_what_is_dropped_is_counted(engine):
    long = prompt(article="storm " * 400)
    request = GenerateRequest("q", long, (), GenerationSpec(30))
    (found,) = engine().generate([request])
    assert found.prompt_tokens_dropped > 100
    assert found.prompt_tokens <= engine()._encoder.context - 30


def test_context_can_be_lowered(engine):
    request = GenerateRequest("q", prompt(article="storm " * 400), (), GenerationSpec(30))
    (found,) = engine(context=150).generate([request])
    assert 100 < found.prompt_tokens <= 120


def test_a_budget_that_leaves_no_room_is_refused(engine):
    with pytest.raises(LampbenchError, match="q0: 256 new tokens leave no room for a prompt"):
        list(engine().generate([ask(0, (), GenerationSpec(256))]))


def test_no_requests_give_no_results(engine):
    assert list(engine().generate([])) == []
    assert list(engine().score([])) == []
