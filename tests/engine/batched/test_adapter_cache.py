"""The adapter cache: bounded memory, and files that change."""

import shutil

import torch
from safetensors.torch import load_file

from lampbench.engine import adapter_files
from lampbench.engine.batched.adapter_cache import AdapterCache
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest
from tests.engine.engine_inputs import prompt
from tests.engine.trained import WEIGHTS


def test_many_users_pass_through_a_bounded_memory(engine, adapters, logits, tmp_path, monkeypatch):
    tam, user, _ = adapters()
    expected = logits("llama", (tam, user), 1)
    copies = [shutil.copytree(user, tmp_path / f"u{i}") for i in range(20)]
    size = sum(4 * tensor.numel() for tensor in load_file(user / WEIGHTS).values())
    made = engine()
    few = AdapterCache(made._model, made._base, capacity=3 * size)
    made._shared.apply(())
    for user_of_cache in (made, made._shared):
        monkeypatch.setattr(user_of_cache, "_cache", few)
    for copy in [*copies, *copies[::-1]]:
        assert torch.equal(logits("llama", (tam, copy), 1), expected)
        assert few.bytes_held == sum(each.bytes for each in few._kept.values()) <= 3 * size
        assert list(few._kept)[-1][0] == str(copy)


def test_adapters_stream_from_disk_while_their_users_are_served(
    engine, adapters, tmp_path, monkeypatch
):
    """Ten users in one batch, memory for one adapter."""
    tam, user, other = adapters()
    users = [shutil.copytree((user, other)[i % 2], tmp_path / f"u{i}") for i in range(10)]
    spec = GenerationSpec(6, contrast=Contrast((tam,), 0.3, 0.1))
    asked = [GenerateRequest(f"q{i}", prompt(i), (tam, u), spec) for i, u in enumerate(users)]
    scores = [ScoreRequest(f"s{i}", prompt(i), "Storm", (tam, u)) for i, u in enumerate(users)]
    expected = list(engine().generate(asked)), list(engine().score(scores))
    reads = []
    read_adapter = adapter_files.read_adapter

    def read(path, *arguments):
        reads.append(path)
        return read_adapter(path, *arguments)

    monkeypatch.setattr(adapter_files, "read_adapter", read)
    monkeypatch.setattr(engine()._cache, "_capacity", 1)
    assert (list(engine().generate(asked)), list(engine().score(scores))) == expected
    assert len(engine()._cache._kept) == 1
    assert min(map(reads.count, users)) >= 2


def test_another_adapter_at_the_same_path_is_noticed(adapters, logits, tmp_path):
    _, user, other = adapters()
    path = shutil.copytree(user, tmp_path / "a")
    first = logits("llama", (path,))
    shutil.rmtree(path)
    shutil.copytree(other, path)
    second = logits("llama", (path,))
    assert not torch.equal(first, second)
    assert torch.equal(second, logits("llama", (other,)))


def test_another_adapter_at_the_path_of_a_merged_one_is_noticed(adapters, logits, tmp_path):
    tam, user, other = adapters()
    path = shutil.copytree(tam, tmp_path / "a")
    first = logits("llama", (path, user))
    shutil.rmtree(path)
    shutil.copytree(other, path)
    second = logits("llama", (path, user))
    assert not torch.equal(first, second)
    assert torch.equal(second, logits("llama", (other, user)))
