"""Where decoding steps are recorded, and what happens where that fails."""

import gc
import weakref
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lampbench.engine.batched import step_kinds
from lampbench.engine.batched.kv_cache import KVCache
from lampbench.engine.load_model import load_model
from lampbench.engine.protocol import GenerationSpec
from lampbench.util.errors import LampbenchError
from tests.engine.batched.asking import answers, ask
from tests.engine.batched.fake_recorder import Recorder
from tests.engine.tiny_models import load_engine


def test_what_is_recorded_after_other_shared_adapters_shares_no_memory_with_what_is_gone():
    """torch gives no more memory to a pool whose graphs are all gone."""
    step: Any = SimpleNamespace(slots=4, tokens=64, advance=lambda shape: (torch.ones(1), None))
    made: list[Recorder] = []

    def recorder():
        made.append(Recorder())
        return made[-1]

    changes = [0]
    replayed = step_kinds.ReplayedSteps(step, lambda: changes[0], recorder)
    for change in (0, 0, 0, 1, 1, 2):
        changes[0] = change
        replayed([3])
    assert [each.recorded for each in made] == [1, 1, 1]


class Failing(Recorder):
    """Fails at the first recording, as CUDA does: what ends the recording may fail, too."""

    def __init__(self, error, text, end=""):
        super().__init__()
        self.error, self.text, self.end = error, text, end

    def __call__(self, work):
        if self.recorded:
            return super().__call__(work)
        self.recorded += 1
        try:
            work()
            raise self.error(self.text)
        finally:
            if self.end:
                raise RuntimeError(self.end)


@pytest.mark.parametrize("end", ["", "CUDA error: operation failed due to a previous error"])
def test_a_full_memory_while_a_step_is_recorded_makes_smaller_batches(
    engine, adapters, monkeypatch, end
):
    """And the memory of the larger one is free before."""
    tam, user, _ = adapters()
    made = engine(batch_size=8)
    requests = [ask(n, (tam, user), GenerationSpec(12)) for n in range(8)]
    expected = answers(made, requests)
    caches: list[weakref.ref[KVCache]] = []
    kept: list[tuple[int, int]] = []
    failing = Failing(torch.OutOfMemoryError, "CUDA out of memory", end)
    monkeypatch.setattr(step_kinds, "CudaRecorder", lambda device: failing)
    monkeypatch.setattr(made, "_step", "graph")
    prepare = KVCache.__init__

    def alive(self, layers, rows, *args):
        kept.append((rows, sum(cache() is not None for cache in caches)))
        caches.append(weakref.ref(self))
        prepare(self, layers, rows, *args)

    monkeypatch.setattr(KVCache, "__init__", alive)
    gc.disable()
    try:
        assert answers(made, requests) == expected
    finally:
        gc.enable()
    assert kept == [(8, 0), (4, 0)]


def test_a_model_whose_steps_cannot_be_recorded_is_told_with_the_remedy(
    engine, adapters, monkeypatch
):
    tam, user, _ = adapters()
    made = engine()
    failing = Failing(RuntimeError, "operation not permitted when stream is capturing\nmore")
    monkeypatch.setattr(step_kinds, "CudaRecorder", lambda device: failing)
    monkeypatch.setattr(made, "_step", "graph")
    told = (
        r"CUDA graph \(operation not permitted when stream is capturing\); give --engine-arg step"
    )
    with pytest.raises(LampbenchError, match=told):
        answers(made, [ask(0, (tam, user), GenerationSpec(12))])


def test_a_model_whose_layers_ask_the_device_is_not_replayed_by_default(model_folder, monkeypatch):
    """LLM.int8 does, and a device that records cannot answer."""
    asked: list[bool] = []

    def kind(step, device, replayable):
        asked.append(replayable)
        return "exact"

    def loaded(*given):
        found = load_model(*given)
        found.model.is_loaded_in_8bit = True
        return found

    monkeypatch.setattr("lampbench.engine.batched.engine.step_kind", kind)
    with monkeypatch.context() as patch:
        patch.setattr("lampbench.engine.batched.engine.load_model", loaded)
        load_engine(model_folder("llama"))
    load_engine(model_folder("llama"))
    load_engine(model_folder("llama"), batch_invariant=True)
    assert asked == [False, True, False]


def test_work_is_recorded_on_the_gpu_that_the_model_is_on(monkeypatch):
    """Elsewhere it would be carried out once, and an empty graph replayed without a word."""
    device, seen = torch.device("cuda:1"), []
    found = torch.ones(1), None

    def entered(what):
        seen.append(what)
        return nullcontext()

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "device", entered)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool, stream: entered(stream))
    step_kinds._stream.cache_clear()
    try:
        assert step_kinds.CudaRecorder(device)(lambda: found)() is found
    finally:
        step_kinds._stream.cache_clear()
    assert seen == [device, "stream of cuda:1"]
