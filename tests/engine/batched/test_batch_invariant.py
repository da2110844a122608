"""In bfloat16 and float16, batch-invariant results are the same to the bit in any company."""

import dataclasses
import random

import pytest
import torch

from lampbench.engine.batched import row_shapes
from lampbench.engine.batched.optimizer import StackedAdamW
from lampbench.engine.protocol import (
    Contrast,
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    LoraSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import (
    OPTIM,
    RESPONSES,
    USER_LORA,
    examples,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.trained import saved

ARCHITECTURES = ("llama", "mistral", "gemma", "qwen")
ARTICLE = "The storm reached the coast on Monday and the town was closed. "


@pytest.fixture
def invariant(engine, monkeypatch):
    """An engine whose answers end at different times, so that slots are filled again."""

    def make(name="llama", dtype="bfloat16", batch_invariant=True, **options):
        made = engine(name, dtype=dtype, batch_invariant=batch_invariant, **options)
        ends = frozenset(range(2, len(made._encoder.tokenizer), 6))
        monkeypatch.setattr(made, "_stop", ends)
        return made

    return make


def asked(n, tam, users, kind):
    """A request of a user; its prompt has 25 to 140 tokens, so that some attend to two blocks."""
    spec = {
        "greedy": GenerationSpec(12, 1.2),
        "sampled": GenerationSpec(12, 1.2, sampling=Sampling(1.0, 0.9)),
        "contrastive": GenerationSpec(12, 1.2, contrast=Contrast((tam,), 0.3, 0.1), rewards=True),
        "against another": GenerationSpec(12, contrast=Contrast((users[5],), 0.3, 0.1)),
    }[kind]
    text = prompt(n, ARTICLE * (1 + n % 5 + 4 * (n % 7 == 0)))
    return GenerateRequest(f"q{n}", text, (tam, users[n % 6]), spec, seed=n)


def answers(engine, requests):
    return {c.id: (c.token_ids, c.rewards) for c in engine.generate(requests)}


def companies(items, count=6):
    """Some of the items alone, some in pairs, and all in another order."""
    shuffled = random.Random(0).sample(items, len(items))
    pairs = [shuffled[n : n + 2] for n in range(0, len(items), len(items) // count)]
    return [shuffled, *pairs, *([item] for item in shuffled[1 :: len(items) // count])]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("llama", kind) for kind in ("greedy", "sampled", "against another")),
        *((name, "contrastive") for name in ARCHITECTURES),
    ],
)
def test_an_answer_has_the_same_bits_in_any_company(
    invariant, adapters, random_adapters, name, kind
):
    tam, _, _ = adapters(name)
    made, users = invariant(name), random_adapters(name)
    requests = [asked(n, tam, users, kind) for n in range(64)]
    together = answers(made, requests)
    assert len({len(tokens) for tokens, _ in together.values()}) > 1
    assert answers(invariant(name, batch_size=20), requests[::3]) == {
        request.id: together[request.id] for request in requests[::3]
    }
    for some in companies(requests):
        found = answers(made, some)
        assert found == {key: together[key] for key in found}


def scored(engine, requests):
    return {s.id: s.logprobs for s in engine.score(requests)}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_score_has_the_same_bits_in_any_company(
    invariant, adapters, random_adapters, name, dtype
):
    tam, _, _ = adapters(name)
    made, users = invariant(name, dtype), random_adapters(name)
    requests = [
        ScoreRequest(f"{n} {i}", prompt(n, ARTICLE * (1 + n % 5)), text, (tam, users[n % 6]))
        for n in range(16)
        for i, text in enumerate(RESPONSES)
    ]
    together = scored(made, requests)
    for some in companies(requests):
        found = scored(made, some)
        assert found == {key: together[key] for key in found}


@pytest.fixture
def people(adapters, random_adapters, tmp_path):
    """Jobs of users with different numbers of records and batches."""

    def make(home, kind, name="llama", count=6):
        tam, _, _ = adapters(name)
        lora = dataclasses.replace(USER_LORA, dropout=0.2)
        starts = random_adapters(name, (lora,) * 3)
        data = preferences if kind == "dpo" else examples
        return [
            job(
                tmp_path / home, f"{kind} {n}", data=data(3 + n % 4), seed=n, adapter=lora,
                frozen=(tam,), start=starts[n % 3],
                dpo=DPOSpec(0.7, (tam,)) if kind == "dpo" else None,
                optim=dataclasses.replace(OPTIM, batch_size=1 + n % 3, epochs=1),
            )
            for n in range(count)
        ]  # fmt: skip

    return make


def trained(engine, jobs):
    found = {result.id: result for result in engine.train(jobs, no_hook)}
    return {each.id: (saved(each), found[each.id].losses, found[each.id].margins) for each in jobs}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_an_adapter_has_the_same_bits_in_any_company(invariant, people, name, kind):
    made = invariant(name)
    crowd = people("all", kind, name, 64 if (kind, name) == ("sft", "llama") else 8)
    together = trained(made, crowd)
    for n, some in enumerate(companies(crowd, 2)[1:]):
        again = {each.id: each for each in people(f"{n}", kind, name, len(crowd))}
        found = trained(made, [again[each.id] for each in some])
        assert found == {key: together[key] for key in found}


def test_an_adapter_of_rank_one_has_the_same_bits_alone(invariant, people):
    """A single product of rank one goes to another kernel in float32."""
    lora, found = LoraSpec(1, 2, 0.0, ("q_proj", "k_proj")), {}
    for count in (1, 5):
        jobs = people(f"rank {count}", "sft", count=count)
        jobs = [dataclasses.replace(each, adapter=lora, start=None) for each in jobs]
        found[count] = trained(invariant(), jobs)["sft 0"]
    assert found[1] == found[5]


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_in_float32_results_are_the_default_engines(
    engine, invariant, adapters, random_adapters, people, name
):
    """But for rounding: with windows, with several blocks of keys, and with empty slots."""
    tam, _, _ = adapters(name)
    users = random_adapters(name)
    ours, plain = (invariant(name, "float32", batch_invariant=on) for on in (True, False))
    for kind in ("greedy", "sampled", "contrastive", "against another"):
        requests = [asked(n, tam, users, kind) for n in range(9)]
        expected, found = answers(plain, requests), answers(ours, requests)
        for key, (tokens, rewards) in expected.items():
            assert found[key][0] == tokens
            assert found[key][1] == pytest.approx(rewards, abs=1e-4)
    requests = [
        ScoreRequest(f"{n} {i}", prompt(n), text, (tam, users[n % 6]))
        for n in range(3)
        for i, text in enumerate(RESPONSES)
    ]
    expected, found = scored(plain, requests), scored(ours, requests)
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-4)
    for kind in ("sft", "dpo"):
        results = [trained(made, people(f"{made is ours}", kind, name)) for made in (ours, plain)]
        for key, (_, losses, margins) in results[0].items():
            assert losses == pytest.approx(results[1][key][1], abs=1e-4)
            assert margins == pytest.approx(results[1][key][2], abs=1e-3)


def test_an_optimiser_step_has_the_same_bits_beside_others():
    draw = torch.Generator().manual_seed(0)
    values, slopes = (torch.randn(5, 1003, generator=draw) for _ in range(2))
    made = [StackedAdamW(values.clone(), slopes.clone(), one_by_one=True) for _ in range(2)]
    every = torch.arange(5)
    for slots in (every, *every.split(1)):
        one = made[len(slots) == 1]
        count = len(slots)
        norms = one.clip(slots, [0.3] * count)
        one.step(slots, [1e-3] * count, [1] * count, [OPTIM] * count)
        assert len(norms) == count
    assert torch.equal(made[0].values, made[1].values)
    assert torch.equal(made[0].gradients, made[1].gradients)


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [("bfloat16", "use --dtype float32, or leave it out"), ("float32", "leave it out")],
)
def test_a_processor_whose_products_depend_on_the_rows_is_refused(
    invariant, monkeypatch, dtype, remedy
):
    def odd(layer, inputs, slopes):
        return iter([inputs + len(inputs), slopes])

    made = invariant(dtype=dtype)
    monkeypatch.setattr(row_shapes, "_both_ways", odd)
    with pytest.raises(
        LampbenchError, match=rf"q_proj in torch\.{dtype} depends .*rows; {remedy}$"
    ):
        row_shapes.require_row_products(made._model, attention=True)


def test_a_model_with_another_attention_is_refused(invariant):
    made = invariant()
    with pytest.raises(LampbenchError, match="needs a model with sdpa attention"):
        row_shapes.require_row_products(made._model, attention=False)


def test_what_a_pass_holds_is_told_as_of_no_effect(invariant):
    assert invariant().batching == {"batch_invariant": 1}
    assert "batch_invariant" not in invariant(batch_invariant=False).batching


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_training_killed_in_company_resumes_alone_to_the_same_bits(invariant, people, kind):
    straight, broken = people("straight", kind), people("broken", kind)
    expected = trained(invariant(), straight)["sft 0" if kind == "sft" else "dpo 0"]

    def kill(name, step, steps):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(invariant(checkpoint_seconds=0.0).train(broken, kill))
    assert broken[0].scratch.is_dir()
    assert trained(invariant(), broken[:1])[broken[0].id] == expected
