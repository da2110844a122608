"""Adapter files that cannot be used: one line says why, and the engine is as before."""

import dataclasses
import json
import os
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lampbench.engine.protocol import GenerateRequest, GenerationSpec
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import USER_LORA, job, no_hook, prompt

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def copied(tmp_path):
    """A copy of an adapter, with its configuration or tensors changed."""

    def make(path, config=None, tensors=None):
        folder = shutil.copytree(path, tmp_path / "copied", dirs_exist_ok=True)
        file = folder / "adapter_config.json"
        values = json.loads(file.read_text())
        file.write_text(json.dumps(values | (config or {})))
        if tensors is not None:
            save_file(tensors(load_file(folder / WEIGHTS)), folder / WEIGHTS)
        return folder

    return make


def once(engine, weights):
    return list(engine.generate([GenerateRequest("q", prompt(), weights, GenerationSpec(3))]))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "rank": ({"rank": 8}, r"has rank 4, alpha 8 and targets q_proj,v_proj; .*rank 8"),
    "alpha": ({"alpha": 4}, r"has rank 4, alpha 8 .* alpha 4"),
    "targets": ({"targets": ("q_proj",)}, r"targets q_proj,v_proj; .*alpha 8, q_proj"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_start_of_another_shape_is_refused(engine, adapters, tmp_path, kind):
    tam, user, _ = adapters()
    change, message = BAD[kind]
    asked = job(tmp_path, "u", frozen=(tam,), start=user,
                adapter=dataclasses.replace(USER_LORA, **change))  # fmt: skip
    with pytest.raises(LampbenchError, match=message):
        list(engine().train([asked], no_hook))


@pytest.mark.parametrize(
    "change",
    [{"use_rslora": True}, {"alpha_pattern": {"q_proj": 4}}, {"rank_pattern": {"v_proj": 4}}],
)
def test_a_start_with_scales_of_its_own_is_refused(engine, adapters, copied, tmp_path, change):
    tam, user, _ = adapters()
    scaled = copied(user, change)
    with pytest.raises(LampbenchError, match=f"targets q_proj,v_proj with {next(iter(change))}"):
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


def test_hub_ids_of_base_models_are_compared(engine, model_folder, adapters, copied, monkeypatch):
    tam, _, _ = adapters()
    moved = copied(tam, {"base_model_name_or_path": "org/one"})
    once(engine(), (moved,))  # a folder's adapter may come from anywhere; shapes decide
    made = engine(batch_size=3)
    monkeypatch.setattr(made._cache, "_base", "org/two")
    with pytest.raises(LampbenchError, match=r"made for 'org/one', not for org/two"):
        once(made, (moved,))


def pipe(file):
    """In the place of a file; opening it would wait for a writer."""
    file.unlink()
    os.mkfifo(file)


DAMAGED = {
    "no folder": (lambda f: shutil.rmtree(f), r"no adapter in PEFT's format"),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), r"no adapter in PEFT's format"),
    "bad config": (lambda f: (f / "adapter_config.json").write_text("{"), r"no adapter in PEFT's"),
    "list config": (lambda f: (f / "adapter_config.json").write_text("[]"), r"no adapter in PEFT"),
    "deep config": (
        lambda f: (f / "adapter_config.json").write_text("[" * 100_000),
        r"no adapter in PEFT's",
    ),
    "pipe for a config": (lambda f: pipe(f / "adapter_config.json"), r"no adapter in PEFT's"),
    "pipe for weights": (lambda f: pipe(f / WEIGHTS), r"weights are missing or no file"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), r"weights are missing"),
    "bad weights": (lambda f: (f / WEIGHTS).write_bytes(b"x" * 50), r"is damaged"),
    "half": (
        lambda f: save_file(dict(list(load_file(f / WEIGHTS).items())[1:]), f / WEIGHTS),
        r"only half of",
    ),
    "empty": (lambda f: save_file({}, f / WEIGHTS), r"has no weights"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_adapter_is_reported_in_one_line(engine, adapters, copied, kind):
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
def test_more_than_a_plain_lora_is_refused(engine, adapters, copied, change):
    tam, _, _ = adapters()
    with pytest.raises(LampbenchError, match=r"only LORA is supported|more than a plain LoRA"):
        once(engine(), (copied(tam, change),))


@pytest.mark.parametrize(
    "change",
    [{"rank_pattern": None}, {"alpha_pattern": None}, {"alpha_pattern": {"q_proj": None}},
     {"lora_alpha": float("nan")}, {"lora_alpha": "16"}, {"lora_alpha": None}, {"r": 0},
     {"use_rslora": "no"}, {"rank_pattern": {"[": 4}}, {"rank_pattern": {"(a+)+$": 4}},
     {"rank_pattern": {"other_proj": 10**400}}, {"r": 10**400}],
    ids=str,
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(engine, adapters, copied, change):
    """NaN would reach every answer, and a pattern could take hours."""
    tam, _, _ = adapters()
    with pytest.raises(LampbenchError, match="damaged"):
        once(engine(), (copied(tam, change),))


def test_an_option_that_this_version_of_peft_does_not_know_is_refused(engine, adapters, copied):
    tam, _, _ = adapters()
    with pytest.raises(LampbenchError, match=r"more than a plain LoRA \('use_newer_kind'\)"):
        once(engine(), (copied(tam, {"use_newer_kind": True}),))
    assert once(engine(), (copied(tam, {"use_newer_kind": None}),)) == once(engine(), (tam,))


def test_a_base_model_of_any_name_is_compared(engine, adapters, copied, monkeypatch):
    """Found by the fuzzer: the system refuses to look for a file of so long a name."""
    tam, _, _ = adapters()
    made = engine(batch_size=3)
    monkeypatch.setattr(made._cache, "_base", "org/two")
    with pytest.raises(LampbenchError, match=r"made for 'x+\.\.\., not for org/two"):
        once(made, (copied(tam, {"base_model_name_or_path": "x" * 5000}),))


def test_a_rank_that_the_tensors_contradict_is_refused_and_not_cached(engine, adapters, copied):
    tam, user, _ = adapters()
    bad = copied(tam, {"r": 2})
    before = once(engine(), (tam, user))
    for _ in range(2):  # not only the first time
        with pytest.raises(LampbenchError, match=r"has rank 4, its configuration says 2"):
            once(engine(), (bad,))
    assert once(engine(), (tam, user)) == before
    assert str(bad) not in {name for name, *_ in engine()._cache._kept}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_adapter_that_is_not_finite_is_refused(engine, adapters, copied, value):
    tam, _, _ = adapters()

    def spoil(tensors):
        name = sorted(tensors)[-1]
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[3] = value
        return tensors

    bad = copied(tam, tensors=spoil)
    with pytest.raises(LampbenchError, match=r"adapter \S+copied: \S+ holds NaN or inf"):
        once(engine(), (bad,))
    assert once(engine(), (tam,))
