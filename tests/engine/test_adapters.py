"""Adapters: PEFT's files both ways, stacks as if merged, the base untouched, bad ones said."""

import dataclasses
import json
import shutil

import pytest
import torch
from given import MODELS, OPTIM, TASK_LORA, USER_LORA, job, no_hook, prompt
from safetensors.torch import load_file, save_file

from lampbench.engine import adapter_files
from lampbench.engine.adapters import Adapters
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest
from lampbench.engine.stack import Rows
from lampbench.errors import LampbenchError

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


@pytest.fixture
def copied(tmp_path):
    """A copy of an adapter, with its configuration or tensors changed."""

    def make(path, config=None, tensors=None):
        folder = shutil.copytree(path, tmp_path / "copied")
        file = folder / "adapter_config.json"
        values = json.loads(file.read_text())
        file.write_text(json.dumps(values | (config or {})))
        if tensors is not None:
            save_file(tensors(load_file(folder / WEIGHTS)), folder / WEIGHTS)
        return folder

    return make


def once(engine, weights):
    return list(engine.generate([GenerateRequest("q", prompt(), weights, GenerationSpec(3))]))


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
    model = get_peft_model(naive("llama"), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3)
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
    with torch.no_grad():
        expected = fresh(torch.arange(5, 25)[None]).logits.float()
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


BAD = {
    "rank": ({"rank": 8}, r"has rank 4, alpha 8 and targets q_proj,v_proj; .*rank 8"),
    "alpha": ({"alpha": 4}, r"has rank 4, alpha 8 .* alpha 4"),
    "targets": ({"targets": ("q_proj",)}, r"targets q_proj,v_proj; .*alpha 8, q_proj"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_start_of_another_shape_is_refused(engine, adapters, tmp_path, kind):
    tam, user, _ = adapters()
    change, message = BAD[kind]
    asked = job(tmp_path, "u", frozen=(tam,), start=user,
                lora=dataclasses.replace(USER_LORA, **change))  # fmt: skip
    with pytest.raises(LampbenchError, match=message):
        list(engine().train([asked], no_hook))


def test_a_start_with_another_scale_is_refused(engine, adapters, copied, tmp_path):
    tam, user, _ = adapters()
    scaled = copied(user, {"use_rslora": True})
    with pytest.raises(LampbenchError, match=r"targets q_proj,v_proj with rsLoRA"):
        list(engine().train([job(tmp_path, "u", frozen=(tam,), start=scaled)], no_hook))


def test_an_adapter_of_another_model_is_refused(engine, adapters):
    qwen, _, _ = adapters("gemma-vision")
    with pytest.raises(LampbenchError, match=r"made for another model: .* has no layer model\."):
        once(engine(), (qwen,))


def test_an_adapter_of_another_width_is_refused(engine, adapters, copied):
    tam, _, _ = adapters()
    wide = copied(tam, tensors=lambda ts: {
        name: torch.cat([t, t], dim=1) if "lora_A" in name else t for name, t in ts.items()
    })  # fmt: skip
    with pytest.raises(LampbenchError, match=r"its model\.layers\.0\.\S+ maps 64 to \d+"):
        once(engine(), (wide,))


def test_hub_names_of_base_models_are_compared(engine, folder, adapters, copied, monkeypatch):
    tam, _, _ = adapters()
    moved = copied(tam, {"base_model_name_or_path": "org/one"})
    once(engine(), (moved,))  # a folder's adapter may come from anywhere; shapes decide
    made = engine(batch_size=3)
    monkeypatch.setattr(made._adapters, "_base", "org/two")
    with pytest.raises(LampbenchError, match=r"made for org/one, not for org/two"):
        once(made, (moved,))


DAMAGED = {
    "no folder": (lambda f: shutil.rmtree(f), r"no adapter in PEFT's format"),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), r"no adapter in PEFT's format"),
    "bad config": (lambda f: (f / "adapter_config.json").write_text("{"), r"no adapter in PEFT's"),
    "list config": (lambda f: (f / "adapter_config.json").write_text("[]"), r"no adapter in PEFT"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), r"weights are missing"),
    "bad weights": (lambda f: (f / WEIGHTS).write_bytes(b"x" * 50), r"is damaged"),
    "half": (
        lambda f: save_file(dict(list(load_file(f / WEIGHTS).items())[1:]), f / WEIGHTS),
        r"only half of",
    ),
    "empty": (lambda f: save_file({}, f / WEIGHTS), r"has no weights"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_adapter_is_one_line(engine, adapters, copied, kind):
    tam, _, _ = adapters()
    bad = copied(tam)
    break_it, message = DAMAGED[kind]
    break_it(bad)
    with pytest.raises(LampbenchError, match=message) as caught:
        once(engine(), (bad,))
    assert "\n" not in str(caught.value)
    assert str(bad) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"peft_type": "IA3"}, {"use_dora": True}, {"init_lora_weights": "pissa"},
     {"modules_to_save": ["lm_head"]}],
)  # fmt: skip
def test_what_is_no_plain_lora_is_refused(engine, adapters, copied, change):
    tam, _, _ = adapters()
    with pytest.raises(LampbenchError, match=r"only LORA|more than a plain LoRA"):
        once(engine(), (copied(tam, change),))


def test_a_rank_that_the_tensors_contradict_is_said_and_leaves_nothing(engine, adapters, copied):
    tam, user, _ = adapters()
    bad = copied(tam, {"r": 2})
    before = once(engine(), (tam, user))
    for _ in range(2):  # and not the first time only
        with pytest.raises(LampbenchError, match=r"has rank 4, its configuration says 2"):
            once(engine(), (bad,))
    assert once(engine(), (tam, user)) == before
    assert str(bad) not in {name for name, *_ in engine()._adapters._resident}


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
