"""Adapters: PEFT's files both ways, stacks as if merged, the base untouched, bad ones said."""

import dataclasses
import shutil

import pytest
import torch
from given import MODELS, OPTIM, TASK_LORA, USER_LORA, job, no_hook, prompt
from safetensors.torch import load_file

from lampbench.engine import adapter_files
from lampbench.engine.batched.adapter_cache import Adapters
from lampbench.engine.batched.stacked_lora import Rows
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def logits(engine):
    """Logits of an engine's model under a stack, on one fixed text: its first `below` adapters
    shared by all rows (all but the last one, as a request has them), the others the row's own.
    """

    def get(name, weights, below=None, adapters=None, **options):
        made = engine(name, **options)
        adapters = adapters or made._adapters
        below = max(0, len(weights) - 1) if below is None else below
        own = weights[below:]
        adapters.freeze(weights[:below])
        layout = adapters.layout([own])
        flat = adapters.flat(layout, own).to(made._model.dtype)
        made._stack.batch = Rows()
        with torch.inference_mode(), made._stack.having(layout.views(flat[None])):
            return made._model(torch.arange(5, 25)[None]).logits.float()

    return get


@pytest.mark.parametrize("name", MODELS)
def test_plain_peft_reads_our_adapters_and_computes_the_same(naive, adapters, logits, name):
    from peft import PeftModel

    tam, _, _ = adapters(name)
    theirs = PeftModel.from_pretrained(naive(name), str(tam)).eval()
    text = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected, plain = theirs(text).logits, naive(name)(text).logits
    assert torch.allclose(logits(name, (tam,)), expected, atol=1e-5)
    assert not torch.allclose(plain, expected, atol=1e-2)


@pytest.mark.parametrize("below", [0, 1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_a_stack_equals_merging_all_but_the_last(naive, adapters, logits, name, below):
    tam, user, _ = adapters(name)
    with torch.no_grad():
        expected = naive(name, tam, user)(torch.arange(5, 25)[None]).logits
    assert torch.allclose(logits(name, (tam, user), below), expected, atol=1e-4)
    assert not torch.allclose(logits(name, (user,)), expected, atol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("below", [0, 1])
def test_an_adapter_that_peft_trained_works(logits, naive, tmp_path, dtype, below):
    """rsLoRA, patterns of ranks and alphas, another layer subset, as found on the hub."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=3, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"],
        rank_pattern={"down_proj": 2}, alpha_pattern={"q_proj": 9}, layers_to_transform=[1],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(naive("llama"), config)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3, generator=noise)
    model.save_pretrained(tmp_path / "theirs")
    found = logits("llama", (tmp_path / "theirs",), below, dtype=dtype)
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


def test_vision_layers_are_left_alone(adapters, naive):
    tam, _, _ = adapters("gemma-vision")
    names = load_file(tam / WEIGHTS)
    assert names
    assert all("language_model" in name for name in names)
    vision = [n for n, _ in naive("gemma-vision").named_modules() if n.endswith("q_proj")]
    assert any("vision" in name for name in vision)  # there was something to be left alone


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_base_model_is_untouched_by_all_of_it(engine, naive, adapters, logits, tmp_path, dtype):
    tam, user, other = adapters()
    made, fresh = engine(dtype=dtype), naive("llama")
    for weight in fresh.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    for stack, below in [((tam, user), 1), ((tam, user), 2), ((user, tam), 2), ((other,), 1)]:
        logits("llama", stack, below, dtype=dtype)
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
        expected = fresh(torch.arange(5, 25)[None]).logits.float()
        assert torch.equal(made._model(torch.arange(5, 25)[None]).logits.float(), expected)
    assert torch.equal(logits("llama", (), dtype=dtype), expected)
    ours, theirs = dict(made._model.named_parameters()), dict(fresh.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_shared_adapter_keeps_its_digits_in_lower_precision(adapters, logits, naive):
    """TAM merged into bfloat16 weights would be further from TAM than its product is."""
    tam, _, _ = adapters()
    exact = logits("llama", (tam,), 1)
    merged = naive("llama", tam)
    for weight in merged.parameters():
        weight.data = weight.data.to(torch.bfloat16)
    with torch.no_grad():
        rounded = merged(torch.arange(5, 25)[None]).logits.float()
    ours = logits("llama", (tam,), 1, dtype="bfloat16")
    assert (ours - exact).norm() < 1.1 * (rounded - exact).norm()


def test_many_users_pass_through_a_bounded_memory(engine, adapters, logits, tmp_path):
    tam, user, _ = adapters()
    expected = logits("llama", (tam, user), 1)
    copies = [shutil.copytree(user, tmp_path / f"u{i}") for i in range(20)]
    size = sum(4 * tensor.numel() for tensor in load_file(user / WEIGHTS).values())
    made = engine()
    made._adapters.freeze(())
    few = Adapters(made._model, made._base, made._stack, keep=3 * size)
    try:
        for copy in [*copies, *copies[::-1]]:
            assert torch.equal(logits("llama", (tam, copy), 1, few), expected)
            assert few._held == sum(each.bytes for each in few._resident.values()) <= 3 * size
            assert list(few._resident)[-1][0] == str(copy)
    finally:
        few.freeze(())


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
    read = adapter_files.read
    monkeypatch.setattr(
        adapter_files, "read", lambda path, *a: reads.append(path) or read(path, *a)
    )
    monkeypatch.setattr(engine()._adapters, "_keep", 1)
    assert (list(engine().generate(asked)), list(engine().score(scores))) == expected
    assert len(engine()._adapters._resident) == 1
    assert min(map(reads.count, users)) >= 2


def test_another_adapter_at_the_same_path_is_noticed(adapters, logits, tmp_path):
    _, user, other = adapters()
    place = shutil.copytree(user, tmp_path / "a")
    first = logits("llama", (place,))
    shutil.rmtree(place)
    shutil.copytree(other, place)
    second = logits("llama", (place,))
    assert not torch.equal(first, second)
    assert torch.equal(second, logits("llama", (other,)))


def test_another_adapter_at_the_path_of_a_merged_one_is_noticed(adapters, logits, tmp_path):
    tam, user, other = adapters()
    place = shutil.copytree(tam, tmp_path / "a")
    first = logits("llama", (place, user))
    shutil.rmtree(place)
    shutil.copytree(other, place)
    second = logits("llama", (place, user))
    assert not torch.equal(first, second)
    assert torch.equal(second, logits("llama", (other, user)))


def test_training_continues_the_adapter_it_starts_from(engine, adapters, tmp_path):
    """At rate zero the result is the start, value by value."""
    tam, user, _ = adapters()
    still = dataclasses.replace(OPTIM, learning_rate=0.0)
    asked = job(tmp_path, "u", frozen=(tam,), start=user, optim=still)
    list(engine().train([asked], no_hook))
    ours, theirs = load_file(asked.output / WEIGHTS), load_file(user / WEIGHTS)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_new_adapter_begins_as_pefts(engine, adapters, tmp_path):
    """A is kaiming-uniform, B zero: the function of what lies below."""
    still = dataclasses.replace(OPTIM, learning_rate=0.0)
    asked, other = job(tmp_path, "u", optim=still), job(tmp_path, "v", optim=still, seed=4)
    list(engine().train([asked, other], no_hook))
    assert (asked.output / WEIGHTS).read_bytes() != (other.output / WEIGHTS).read_bytes()
    for name, tensor in load_file(asked.output / WEIGHTS).items():
        if "lora_B" in name:
            assert not tensor.any()
        else:  # uniform within 1 / sqrt(inputs), as kaiming with a = sqrt(5) has it
            bound = tensor.shape[1] ** -0.5
            assert 0.8 * bound < tensor.abs().max() <= bound
            assert tensor.std() == pytest.approx(bound / 3**0.5, rel=0.2)


def test_what_one_request_asks_for_never_touches_another(engine, adapters):
    """Requests of five stacks mixed in one call, against each in a call of its own."""
    tam, user, other = adapters()
    stacks = [(), (tam,), (tam, user), (tam, other), (user,)]
    asked = [ScoreRequest(f"{i}/{n}", prompt(n), "Storm closes", stack)
             for n in range(3) for i, stack in enumerate(stacks)]  # fmt: skip
    mixed = {score.id: score.logprobs for score in engine().score(asked)}
    for request in asked:
        (alone,) = engine().score([request])
        assert mixed[request.id] == pytest.approx(alone.logprobs, abs=1e-4)
    assert len({mixed[f"{i}/0"] for i in range(5)}) == 5


def test_task_lora_sits_on_all_four_projections(adapters):
    tam, user, _ = adapters()
    for path, lora in ((tam, TASK_LORA), (user, USER_LORA)):
        kinds = {name.split(".")[-3] for name in load_file(path / WEIGHTS)}
        assert kinds == set(lora.targets)
