"""Sums of adapters: exactly the weighted sum of what each changes in the model's weights."""

import pytest
import torch

from lampbench.engine.adapter_files import read_adapter
from lampbench.engine.protocol import CombineJob
from lampbench.util.errors import LampbenchError


def change(model, before, adapter):
    """What PEFT makes of an adapter, by layer."""
    del model
    after = dict(adapter.named_parameters())
    return {name: after[name] - value for name, value in before.named_parameters()}


def changes(merged_model, path):
    plain = merged_model("llama")
    return change(None, plain, merged_model("llama", path))


def test_the_sum_equals_that_of_pefts_merged_weights(
    engine, random_adapters, merged_model, tmp_path
):
    """Shapes with nothing in common: ranks 1 to 6, other layers, other scales."""
    paths = random_adapters()
    factors = [0.5, -1.0, 0.25, 2.0, 1.0, 0.125]
    job = CombineJob(tuple(zip(paths, factors, strict=True)), tmp_path / "sum")
    engine().combine(job)
    found = changes(merged_model, tmp_path / "sum")
    parts = [changes(merged_model, path) for path in paths]
    touched = 0
    for name, value in found.items():
        expected = sum(f * part[name] for f, part in zip(factors, parts, strict=True))
        torch.testing.assert_close(value, expected, atol=2e-6, rtol=1e-4)
        touched += bool(expected.abs().max() > 1e-3)
    assert touched >= 7


def test_the_rank_is_no_more_than_the_layers(engine, random_adapters, merged_model, tmp_path):
    paths = random_adapters() * 9
    job = CombineJob(tuple((path, 1 / len(paths)) for path in paths), tmp_path / "mean")
    engine().combine(job)
    saved = read_adapter(tmp_path / "mean", engine()._model, engine()._base)
    assert saved.config.r < 9 * 4
    for first, second in saved.matrices.values():
        assert len(first) <= max(*first.shape, *second.shape)
    parts = [changes(merged_model, path) for path in paths[:6]]
    for name, value in changes(merged_model, tmp_path / "mean").items():
        expected = sum(part[name] for part in parts) / 6
        torch.testing.assert_close(value, expected, atol=2e-6, rtol=1e-4)


def test_it_is_the_same_bytes_again(engine, random_adapters, tmp_path):
    for name in ("one", "two"):
        job = CombineJob(tuple((path, 0.5) for path in random_adapters()), tmp_path / name)
        engine().combine(job)
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()


def test_what_cannot_be_added_is_one_line(engine, random_adapters, tmp_path):
    missing = CombineJob(((tmp_path / "nowhere", 1.0),), tmp_path / "sum")
    with pytest.raises(LampbenchError, match="no adapter in PEFT's format"):
        engine().combine(missing)
    with pytest.raises(LampbenchError, match="no adapters to add up"):
        engine().combine(CombineJob((), tmp_path / "sum"))
    assert not (tmp_path / "sum").exists()
