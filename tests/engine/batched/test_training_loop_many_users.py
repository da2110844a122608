"""Many users trained at once: each adapter equals that of a plain PEFT loop for the user alone, and
does not depend on the other users.
"""

import dataclasses
import random

import pytest
import torch

from lampbench.engine.batched.batch_size import BatchPlanner
from lampbench.engine.protocol import (
    DPOSpec,
    GenerateRequest,
    GenerationSpec,
    LoraSpec,
    ScoreRequest,
)
from tests.engine.engine_inputs import (
    MODELS,
    OPTIM,
    STILL,
    examples,
    job,
    no_hook,
    preferences,
    prompt,
)
from tests.engine.plain_peft import plain_training
from tests.engine.trained import apart, encoded, saved, tensors

OTHER = LoraSpec(3, 6, 0.0, ("o_proj", "gate_proj", "down_proj"))
WILD = dataclasses.replace(OPTIM, learning_rate=1e30, max_grad_norm=0.0, epochs=9)


def optim(**options):
    return dataclasses.replace(OPTIM, **{"learning_rate": 3e-3} | options)


# Of users on the same model, everything that may differ: epochs, batches, rates, clipping, decay.
WAYS = (
    optim(),
    optim(batch_size=2, learning_rate=1e-3, weight_decay=0.3),
    optim(epochs=3, batch_size=4, warmup_ratio=0.5),
    optim(epochs=1, batch_size=1, max_grad_norm=0.05),
    optim(batch_size=8, warmup_ratio=0.0, max_grad_norm=0.0),
)


def run(engine, jobs):
    results = {result.id: result for result in engine.train(jobs, no_hook)}
    assert results.keys() == {asked.id for asked in jobs}
    return results


@pytest.fixture
def people(adapters, random_adapters, tmp_path):
    """Jobs of users with different numbers of records, training options and starts."""

    def make(home, kind, name="llama", count=5, lora=STILL, most=8):
        tam, _, _ = adapters(name)
        starts = random_adapters(name, (lora,) * 3)
        data = preferences if kind == "dpo" else examples
        dpo = DPOSpec(0.7, (tam,)) if kind == "dpo" else None
        return [
            job(
                tmp_path / home, f"{kind} {n}", data=data(2 + 3 * n % (most - 1)), seed=n,
                adapter=lora, frozen=(tam,), start=starts[n % 3], dpo=dpo,
                optim=WAYS[n % len(WAYS)],
            )
            for n in range(count)
        ]  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("sft", name) for name in MODELS), ("dpo", "llama"), ("dpo", "gemma"), ("dpo", "qwen")],
)
def test_every_users_training_equals_a_plain_loop_with_peft(
    engine, merged_model, people, name, kind
):
    """Users of two shapes in one call, with and without TAM below."""
    made = engine(name)
    count = 5 if name == "llama" else 3
    jobs = people("all", kind, name, count)
    if kind == "sft":
        jobs[1] = dataclasses.replace(jobs[1], frozen=())
        jobs.append(dataclasses.replace(people("all", kind, name, 3, OTHER)[2], id="o", seed=9))
        jobs[-1] = dataclasses.replace(jobs[-1], output=jobs[0].output.with_name("other"))
    results = run(made, jobs)
    for asked in jobs:
        model = merged_model(name, *asked.frozen)
        losses, expected = plain_training(model, asked.start, asked, encoded(made, asked))
        assert list(results[asked.id].losses) == pytest.approx(losses, abs=1e-4)
        found, before = tensors(asked.output), tensors(asked.start)
        assert apart(found, before) > 1e-3
        assert apart(found, expected) < 1e-5
    steps = [result.steps for result in results.values()]
    assert len(set(steps)) > 1


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_an_adapter_is_the_same_alone_with_one_and_with_63_others(engine, people, kind):
    lora = dataclasses.replace(STILL, dropout=0.2)
    crowd, mixed, alone = (
        people(home, kind, count=64, lora=lora, most=6) for home in ("64", "2", "1")
    )
    results = run(engine(), random.Random(0).sample(crowd, 64))
    for n in range(0, 64, 16):
        run(engine(), [mixed[(n + 5) % 64], mixed[n]])
        single = run(engine(), [alone[n]])[alone[n].id]
        assert apart(tensors(alone[n].output), tensors(crowd[n].output)) < 1e-5
        assert apart(tensors(alone[n].output), tensors(mixed[n].output)) < 1e-5
        found = results[single.id]
        assert found.losses == pytest.approx(single.losses, abs=1e-5)
        assert found.margins == pytest.approx(single.margins, abs=1e-4)
        assert (found.steps, found.tokens) == (single.steps, single.tokens)


@pytest.mark.parametrize("slots", [1, 3, 64])
@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_rows_in_separate_passes_are_bitwise_independent(
    engine, people, limit_passes, monkeypatch, kind, slots
):
    """With dropout; users take the slots of those who have ended or failed."""
    lora = dataclasses.replace(STILL, dropout=0.3)
    alone, crowd = (people(home, kind, count=6, lora=lora) for home in ("alone", "crowd"))
    limit_passes(1)
    expected = {asked.id: run(engine(), [asked])[asked.id] for asked in alone}
    monkeypatch.setattr(BatchPlanner, "training_slots", lambda self, jobs, adapter: slots)
    (wild,) = people("wild", kind, count=1, lora=lora)
    wild = dataclasses.replace(wild, id="wild", optim=WILD)
    results = run(engine(), [*crowd[3:], wild, *crowd[:3]])
    assert "nan" in results.pop("wild").reason
    assert results == expected
    assert [saved(asked) for asked in crowd] == [saved(asked) for asked in alone]


def test_the_order_of_a_users_records_depends_on_the_seed_alone(engine, people):
    """Which step an example belongs to follows from the seed alone, and so does its dropout."""
    lora = dataclasses.replace(STILL, dropout=0.3)
    first, second = people("a", "sft", count=1, lora=lora) + people("b", "sft", count=1, lora=lora)
    other = dataclasses.replace(second, id="other", seed=8, output=second.output.with_name("o"))
    run(engine(), [first])
    run(engine(), [other, dataclasses.replace(second, id="same")])
    assert apart(tensors(first.output), tensors(second.output)) < 1e-5
    assert apart(tensors(first.output), tensors(other.output)) > 1e-4


def test_dropout_differs_between_rows_layers_and_steps(engine, people, tmp_path):
    """The same example, again and again: its losses differ by dropout alone."""
    lora = dataclasses.replace(STILL, dropout=0.5)
    asked = people("a", "sft", count=1, lora=lora)[0]
    still = dataclasses.replace(asked.optim, learning_rate=0.0, batch_size=1, epochs=2)
    asked = dataclasses.replace(asked, data=(asked.data[0],) * 4, optim=still)
    masks: dict[str, list[torch.Tensor]] = {}
    model = engine()._model
    stacked = engine()._stacked
    hooks = []
    for name, module in model.named_modules():
        if name.endswith("q_proj"):
            hooks.append(module.register_forward_pre_hook(
                lambda _, inputs, name=name: masks.setdefault(name, []).append(
                    stacked.rows.dropout(torch.ones_like(inputs[0]), name)
                )
            ))  # fmt: skip
    result = run(engine(), [asked])[asked.id]
    for hook in hooks:
        hook.remove()
    assert len(set(result.losses)) == 8
    drawn = [mask for each in masks.values() for mask in each]
    assert len(drawn) == 16
    length = min(mask.shape[1] for mask in drawn)
    assert len({tuple(mask[0, :length].flatten().tolist()) for mask in drawn}) == 16
    for mask in drawn:
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        assert float((mask > 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_reference_model_with_other_adapters(engine, merged_model, adapters, people):
    """DPO of (tam, user) against the untouched model, and against other adapters."""
    tam, user, other = adapters()
    for n, reference in enumerate([(), (tam, other), (user, other)]):
        (asked,) = people(f"r{n}", "dpo", count=1)
        asked = dataclasses.replace(asked, dpo=DPOSpec(0.7, reference))
        (result,) = run(engine(), [asked]).values()
        policy, fixed = (
            {s.id: sum(s.logprobs) for s in engine().score(
                [ScoreRequest(f"{i} {side}", item.prompt, text, stack)
                 for i, item in enumerate(asked.data)
                 for side, text in enumerate((item.chosen, item.rejected))]
            )}
            for stack in ((tam, asked.start), reference)
        )  # fmt: skip
        gains = {key: policy[key] - fixed[key] for key in policy}
        margins = [0.7 * (gains[f"{i} 0"] - gains[f"{i} 1"]) for i in range(len(asked.data))]
        assert result.margins[0] == pytest.approx(sum(margins) / len(margins), abs=1e-3)


def test_requests_between_two_results_change_neither(engine, adapters, people, monkeypatch):
    """A caller uses each result as it comes, on the same engine, while others are running."""
    made, (tam, user, other) = engine(), adapters()
    expected, jobs = people("before", "sft"), people("asked", "sft")
    run(made, expected)
    ends = frozenset(range(2, len(made._encoder.tokenizer), 6))
    monkeypatch.setattr(made, "_stop", ends)
    stacks, spec = ((tam, user), (tam, other)), GenerationSpec(12)
    requests = [GenerateRequest(f"q{n}", prompt(n), stacks[n % 2], spec) for n in range(8)]
    asked = [ScoreRequest(f"s{n}", prompt(n), "x", (other,)) for n in range(3)]
    answers = {c.id: c for c in made.generate(requests)}
    scores = {s.id: s for s in made.score(asked)}
    assert len({len(c.token_ids) for c in answers.values()}) > 3
    for _ in made.train(jobs, no_hook):
        for completion in made.generate(requests):
            assert completion == answers[completion.id]
            for score in made.score(asked):
                assert score.logprobs == pytest.approx(scores[score.id].logprobs, abs=1e-4)
        list(made.score(asked))
    for ours, theirs in zip(jobs, expected, strict=True):
        assert apart(tensors(ours.output), tensors(theirs.output)) < 1e-5
