"""Decoding steps in static shapes, and replayed ones, give the answers of steps as they come."""

import gc
import random
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lampbench.engine.batched import decoding_loop, step_kinds, step_shape
from lampbench.engine.batched.decoding_step import DecodingStep
from lampbench.engine.batched.kv_cache import KVCache
from lampbench.engine.protocol import Contrast, GenerationSpec, Sampling
from lampbench.util.errors import LampbenchError
from tests.engine.batched.asking import answers, ask
from tests.engine.batched.fake_recorder import Recorder

TEXT = "Storm closes the harbour on Monday"


def requests_of(tam, users):
    """Several kinds, which are decoded in several loops, each with more answers than slots."""
    contrast = Contrast((tam,), 0.3, 0.1)
    kinds = [
        GenerationSpec(12, 1.2),
        GenerationSpec(12, 1.2, sampling=Sampling(1.0, 0.9)),
        GenerationSpec(12, 1.2, contrast=contrast, rewards=True),
        GenerationSpec(12, min_new_tokens=5),
    ]
    found = [
        ask(30 * k + n, (tam, users[n % 6]), spec, seed=n)
        for k, spec in enumerate(kinds)
        for n in range(20)
    ]
    forced = [
        ask(200 + n, (tam, users[n % 6]), kinds[2], teacher_text=TEXT if n % 2 else "")
        for n in range(5)
    ]
    return random.Random(0).sample([*found, *forced], len(found) + len(forced))


@pytest.fixture
def stops(monkeypatch):
    """Every third token ends an answer, so that slots are given to others at different times."""

    def get(engine):
        ends = frozenset(range(0, len(engine._encoder.tokenizer), 3))
        monkeypatch.setattr(engine, "_stop", ends)

    return get


@pytest.fixture
def short_shapes(monkeypatch):
    """The answers are short: shapes change as often as they do with long ones."""
    monkeypatch.setattr(step_shape, "_TOKENS", 8)


@pytest.mark.parametrize("name", ["llama", "gemma"])
@pytest.mark.parametrize("steps", [1, 4])
def test_static_steps_give_the_same_answers(
    engine, adapters, random_adapters, stops, short_shapes, monkeypatch, name, steps
):
    """With windows and full attention, and as often asked for what has ended as a GPU."""
    monkeypatch.setattr(decoding_loop, "_CPU_STEPS", steps)
    tam, _, _ = adapters(name)
    made = engine(name, batch_size=12)
    stops(made)
    requests = requests_of(tam, random_adapters(name))
    expected = answers(made, requests)
    assert len({len(each.token_ids) for each in expected.values()}) > 5
    advance, computed = DecodingStep.advance, []

    def watched(self, shape):
        """Slots without an answer are computed too, and stay at their first place."""
        found, empty = advance(self, shape), self.live == 0
        assert not self.length[empty].any() and not self.count[empty].any()
        computed.append(int(empty[: shape[-1].end].sum()))
        return found

    monkeypatch.setattr(DecodingStep, "advance", watched)
    monkeypatch.setattr(made, "_step", "static")
    found = answers(made, requests)
    assert any(computed)
    for key, answer in expected.items():
        assert found[key].token_ids == answer.token_ids
        assert found[key].rewards == pytest.approx(answer.rewards, abs=1e-4)


@pytest.fixture
def recorder(monkeypatch):
    made = Recorder()
    monkeypatch.setattr(step_kinds, "CudaRecorder", lambda device: made)
    return made


def test_replayed_steps_give_the_same_answers(
    engine, adapters, random_adapters, stops, short_shapes, recorder, monkeypatch
):
    tam, _, _ = adapters()
    made = engine(batch_size=12)
    stops(made)
    requests = requests_of(tam, random_adapters())
    expected, advanced = answers(made, requests), []
    monkeypatch.setattr(made, "_step", "graph")
    call = step_kinds.ReplayedSteps.__call__

    def counted(self, lengths):
        advanced.append(len(lengths))
        return call(self, lengths)

    monkeypatch.setattr(step_kinds.ReplayedSteps, "__call__", counted)
    found = answers(made, requests)
    assert {key: each.token_ids for key, each in found.items()} == {
        key: each.token_ids for key, each in expected.items()
    }
    assert 0 < recorder.recorded < len(advanced)


def test_a_step_is_recorded_again_when_others_shared_adapters_were_applied(
    engine, adapters, stops, recorder, monkeypatch
):
    """The caller asks for other adapters between two answers: their memory is gone afterwards."""
    tam, user, other = adapters()
    made = engine(batch_size=2)
    stops(made)
    requests = [ask(n, (tam, user), GenerationSpec(12)) for n in range(6)]
    expected = answers(made, requests)
    monkeypatch.setattr(made, "_step", "graph")
    assert answers(made, requests) == expected
    once, found = recorder.recorded, {}
    for answer in made.generate(requests):
        found[answer.id, answer.sample] = answer
        made._shared.apply((other,))
    assert found == expected
    assert recorder.recorded - once > once


def test_graphs_need_cuda():
    cpu = torch.device("cpu")
    with pytest.raises(LampbenchError, match="step=graph needs CUDA, and the device is cpu"):
        step_kinds.step_kind("graph", cpu, True)
    with pytest.raises(LampbenchError, match="no decoding step is called 'fast'"):
        step_kinds.step_kind("fast", cpu, True)


def test_the_fastest_step_for_a_device_is_the_default():
    """Measured on a GPU: benchmarks/results/gpu."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert step_kinds.step_kind(None, cpu, True) == "exact"
    assert step_kinds.step_kind(None, cuda, True) == "graph"
    assert step_kinds.step_kind(None, cuda, False) == "exact"
    assert step_kinds.step_kind("exact", cuda, True) == "exact"


def test_what_was_recorded_is_told_with_the_batches(engine):
    assert engine(step="static").batching["static_steps"] == 1
    assert "static_steps" not in engine(step="exact").batching


@pytest.mark.parametrize("step", ["exact", "graph"])
def test_keys_and_values_are_gone_with_the_last_answer(
    engine, adapters, recorder, monkeypatch, step
):
    """Not when the garbage collector comes: a GPU would have no room for the next ones."""
    tam, user, _ = adapters()
    made, kept = engine(), []
    monkeypatch.setattr(made, "_step", step)
    prepare = KVCache.__init__

    def watched(self, *args):
        prepare(self, *args)
        kept.append(weakref.ref(self))

    monkeypatch.setattr(KVCache, "__init__", watched)
    gc.disable()
    try:
        assert answers(made, [ask(n, (tam, user), GenerationSpec(12)) for n in range(3)])
        assert kept
        assert not [each for each in kept if each()]
    finally:
        gc.enable()


def test_a_step_is_recorded_when_its_shape_comes_for_the_second_time(recorder):
    """The first time is needed before, and nothing is recorded for what comes once."""
    step: Any = SimpleNamespace(slots=4, tokens=64)
    step.advance = lambda shape: (torch.tensor([7]), None)
    replayed = step_kinds.ReplayedSteps(step, lambda: 0, lambda: recorder)
    for use, recorded in enumerate((0, 1, 1, 1), start=1):
        assert replayed([3 + use])[0].tolist() == [7]
        assert recorder.recorded == recorded


def test_on_cuda_the_graph_is_cudas(engine, adapters, random_adapters, stops, engine_device):
    """The same with a real graph, where there is one."""
    if engine_device == "cpu":
        pytest.skip("CUDA graphs need CUDA")
    tam, _, _ = adapters()
    made, replayed = engine(step="exact"), engine()
    for each in (made, replayed):
        stops(each)
    requests = requests_of(tam, random_adapters())
    assert {key: each.token_ids for key, each in answers(replayed, requests).items()} == {
        key: each.token_ids for key, each in answers(made, requests).items()
    }


def groups(shape):
    return [(group.end, group.tokens) for group in shape]


def test_exact_shapes():
    assert groups(step_shape.exact_shape([9, 30, 8])) == [(3, 30)]  # too few for groups
    assert groups(step_shape.exact_shape([50] * 16)) == [(16, 50)]
    assert groups(step_shape.exact_shape([50] * 15 + [49])) == [(16, 50)]  # too little to gain
    falling = [*range(200, 180, -5), *range(150, 130, -5), *range(80, 60, -5), *range(60, 40, -5)]
    assert groups(step_shape.exact_shape(falling)) == [(4, 200), (8, 150), (12, 80), (16, 60)]


def test_static_shapes_cover_what_is_there_and_are_few():
    assert groups(step_shape.static_shape([9, 30, 8], 64, 300)) == [(16, 128)]
    assert groups(step_shape.static_shape([9] * 17, 64, 300)) == [(32, 128)]
    assert groups(step_shape.static_shape([290] * 64, 64, 300)) == [(64, 300)]
    assert groups(step_shape.static_shape([200] * 20 + [9], 64, 300)) == [(32, 256)]
    assert groups(step_shape.static_shape([200] * 16 + [9], 64, 300)) == [(32, 256)]
    assert groups(step_shape.static_shape([5], 1, 20)) == [(1, 20)]
    draw, shapes = random.Random(1), set()
    for _ in range(2000):
        slots = draw.randrange(1, 40)
        lengths = [draw.randrange(1, 301) for _ in range(draw.randrange(1, slots + 1))]
        exact, static = (
            step_shape.exact_shape(lengths),
            step_shape.static_shape(lengths, slots, 300),
        )
        for shape in (exact, static):
            begin = 0
            for group in shape:
                assert group.end > begin
                assert max([0, *lengths[begin : group.end]]) <= group.tokens <= 300
                begin = group.end
            assert len(lengths) <= shape[-1].end <= slots
        assert exact[-1].end == len(lengths)
        shapes.add(static)
    assert len(shapes) < 300  # many numbers of slots that there is room for


def test_groups_attend_as_all_rows_at_once_do():
    """And heads that share keys as those with copies of them, in the call that a GPU gets."""
    from lampbench.engine.batched import step_attention as attention

    draw = torch.Generator().manual_seed(0)
    query = torch.randn(6, 8, 1, 16, generator=draw)
    key, value = (torch.randn(6, 2, 30, 16, generator=draw) for _ in range(2))
    lengths = torch.tensor([30, 27, 19, 20, 8, 3])
    mask = (torch.arange(30) < lengths.unsqueeze(-1))[:, None, None]
    keys, values = (each.repeat_interleave(4, dim=1) for each in (key, value))
    expected = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    numbers = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)  # as on a CPU
    given = query, key, value, numbers
    with torch.no_grad():
        whole, _ = attention.attend(None, *given)
        with attention.row_groups([(2, 30), (4, 20), (6, 8)]):
            grouped, _ = attention.attend(None, *given)
        other, _ = attention.attend(None, *given[:3], numbers.roll(1, -1))
        fused = torch.nn.functional.scaled_dot_product_attention(
            query.view(6, 2, 4, 16), key, value, attn_mask=numbers, scale=0.25
        )
    for found in (whole, grouped, fused.reshape(6, 1, 8, 16)):
        assert torch.allclose(found.transpose(1, 2), expected, atol=1e-6)
    assert not torch.allclose(other.transpose(1, 2), expected, atol=1e-2)
