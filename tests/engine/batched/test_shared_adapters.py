"""Adapters act as if merged, on all rows or on one, and leave the base model untouched."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from lampbench.engine.batched.shared_adapters import SharedAdapters
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, ScoreRequest
from tests.engine.engine_inputs import MODELS, job, no_hook, prompt

WEIGHTS = "adapter_model.safetensors"


@pytest.mark.parametrize("name", MODELS)
def test_plain_peft_reads_our_adapters_and_computes_the_same(merged_model, adapters, logits, name):
    from peft import PeftModel

    tam, _, _ = adapters(name)
    theirs = PeftModel.from_pretrained(merged_model(name), str(tam)).eval()
    text = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected, plain = theirs(text).logits, merged_model(name)(text).logits
    assert torch.allclose(logits(name, (tam,)), expected, atol=1e-5)
    assert not torch.allclose(plain, expected, atol=1e-2)


@pytest.mark.parametrize("shared", [0, 1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_adapters_equal_merged_ones(merged_model, adapters, logits, name, shared):
    tam, user, _ = adapters(name)
    with torch.no_grad():
        expected = merged_model(name, tam, user)(torch.arange(5, 25)[None]).logits
    assert torch.allclose(logits(name, (tam, user), shared), expected, atol=1e-4)
    assert not torch.allclose(logits(name, (user,)), expected, atol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shared", [0, 1])
def test_an_adapter_that_peft_trained_works(logits, merged_model, tmp_path, dtype, shared):
    """rsLoRA, patterns of ranks and alphas, another layer subset, as found on the hub."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=3, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"],
        rank_pattern={"down_proj": 2}, alpha_pattern={"q_proj": 9}, layers_to_transform=[1],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(merged_model("llama"), config)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3, generator=noise)
    model.save_pretrained(tmp_path / "theirs")
    found = logits("llama", (tmp_path / "theirs",), shared, dtype=dtype)
    with torch.no_grad():
        expected = model.eval()(torch.arange(5, 25)[None]).logits
    tolerance = 1e-4 if dtype == "float32" else 0.3
    assert torch.allclose(found, expected, atol=tolerance)


def test_an_old_pickled_adapter_works(adapters, logits, tmp_path):
    tam, _, _ = adapters()
    expected = logits("llama", (tam,))
    old = shutil.copytree(tam, tmp_path / "old")
    torch.save(load_file(old / WEIGHTS), old / "adapter_model.bin")
    (old / WEIGHTS).unlink()
    assert torch.equal(logits("llama", (old,)), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_base_model_stays_untouched(engine, merged_model, adapters, logits, tmp_path, dtype):
    tam, user, other = adapters()
    made = engine(dtype=dtype)
    fresh, text = merged_model("llama").to(made.device), torch.arange(5, 25, device=made.device)
    for weight in fresh.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    for weights, shared in [((tam, user), 1), ((tam, user), 2), ((user, tam), 2), ((other,), 1)]:
        logits("llama", weights, shared, dtype=dtype)
        changed = [
            name for name, ours in made._model.named_parameters()
            if not torch.equal(ours, fresh.get_parameter(name))
        ]  # fmt: skip
        # in a lower precision a merge would round the adapter away
        assert bool(changed) == (dtype == "float32")
    list(made.train([job(tmp_path, "u", frozen=(tam,), start=other)], no_hook))
    list(made.generate([GenerateRequest("q", prompt(), (user,), GenerationSpec(3))]))
    list(made.score([ScoreRequest("s", prompt(), "x", (other,))]))
    with torch.no_grad():
        expected = fresh(text[None]).logits.float()
        assert torch.equal(made._model(text[None]).logits.float(), expected)
    assert torch.equal(logits("llama", (), dtype=dtype), expected.cpu())
    ours, theirs = dict(made._model.named_parameters()), dict(fresh.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_merge_that_fails_halfway_leaves_no_weight_changed(engine, adapters, monkeypatch):
    """As where the memory is full: what is asked next is computed with its own weights."""
    tam, user, _ = adapters()
    made = engine()
    merged: list[str] = []
    request = ScoreRequest("s", prompt(), "Storm closes", (user,))
    (before,) = made.score([request])
    merge = SharedAdapters._merge

    def failing(self, name, pair, factor):
        if merged:
            raise torch.OutOfMemoryError("out of memory")
        merged.append(name)
        merge(self, name, pair, factor)

    monkeypatch.setattr(SharedAdapters, "_merge", failing)
    with pytest.raises(torch.OutOfMemoryError):
        list(made.score([ScoreRequest("s", prompt(), "Storm closes", (tam, user))]))
    assert merged
    (after,) = made.score([request])
    assert after == before


def test_a_shared_adapter_keeps_its_digits_in_lower_precision(adapters, logits, merged_model):
    """TAM merged into bfloat16 weights would be further from TAM than its product is."""
    tam, _, _ = adapters()
    exact = logits("llama", (tam,), 1)
    merged = merged_model("llama", tam)
    for weight in merged.parameters():
        weight.data = weight.data.to(torch.bfloat16)
    with torch.no_grad():
        rounded = merged(torch.arange(5, 25)[None]).logits.float()
    ours = logits("llama", (tam,), 1, dtype="bfloat16")
    assert (ours - exact).norm() < 1.1 * (rounded - exact).norm()


def test_requests_do_not_touch_one_another(engine, adapters):
    """Requests with five sets of adapters in one call, compared with one call for each."""
    tam, user, other = adapters()
    weights = [(), (tam,), (tam, user), (tam, other), (user,)]
    asked = [ScoreRequest(f"{i}/{n}", prompt(n), "Storm closes", each)
             for n in range(3) for i, each in enumerate(weights)]  # fmt: skip
    mixed = {score.id: score.logprobs for score in engine().score(asked)}
    for request in asked:
        (alone,) = engine().score([request])
        assert mixed[request.id] == pytest.approx(alone.logprobs, abs=1e-4)
    assert len({mixed[f"{i}/0"] for i in range(5)}) == 5
