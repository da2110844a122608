"""Loading models: device, precision, context length, chat templates, damaged files."""

import json
import logging
import shutil
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from lampbench.core.fidelity import REFERENCE
from lampbench.engine import load_model
from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.model_files import fingerprint
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import GenerateRequest, GenerationSpec
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt
from tests.engine.tiny_models import CONTEXT, load_engine

BAD = {
    "device": ({"device": "cuda:7"}, r"device 'cuda:7' cannot be used"),
    "no device": ({"device": "toaster"}, r"device 'toaster' cannot be used"),
    "dtype": ({"dtype": "float64"}, r"no precision is called 'float64': there are float32"),
    "template": ({"chat_template": "gpt"}, r"no chat template is called 'gpt'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_options_are_errors(model_folder, kind):
    options, message = BAD[kind]
    with pytest.raises(LampbenchError, match=message):
        load_engine(model_folder("llama"), **options)


@pytest.mark.parametrize(("limit", "context"), [(100, 100), (10_000, CONTEXT), (10**30, CONTEXT)])
def test_the_context_is_the_smaller_of_the_models_and_the_tokenizers(
    model_folder, tmp_path, limit, context, caplog
):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    file = copy / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": limit}))
    made = load_engine(copy)._encoder
    assert made.context == context
    libraries = logging.getLogger("transformers")
    libraries.addHandler(caplog.handler)
    made.tokenizer("storm " * 400)
    libraries.removeHandler(caplog.handler)
    assert not caplog.records  # prompts are fitted into the context and what is dropped is counted


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_damaged_files_are_reported_in_one_line(model_folder, tmp_path, name):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    (copy / name).write_text('{"a": ')
    with pytest.raises(LampbenchError, match=r"copy") as caught:
        load_engine(copy)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_reported_in_one_line(model_folder, tmp_path):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    with pytest.raises(LampbenchError, match=r"cannot be loaded"):
        load_engine(copy)


def test_a_single_missing_tensor_is_an_error_and_not_random_numbers(model_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"], weights["model.norm.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LampbenchError, match=r"no weights for model\.\S+\.weight and 1 more; down"):
        load_engine(copy)


LIBRARIES = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "optimum": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "gptqmodel": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "compressed-tensors": {"quant_method": "compressed-tensors"},
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_quantised_checkpoint_without_its_library(model_folder, tmp_path, library):
    if find_spec(library.replace("-", "_")):
        pytest.skip(f"{library} is installed")
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    file = copy / "config.json"
    values = json.loads(file.read_text()) | {"quantization_config": LIBRARIES[library]}
    file.write_text(json.dumps(values))
    with pytest.raises(LampbenchError, match=rf"needs a package that is missing: .*{library}") as e:
        load_engine(copy)
    assert "\n" not in str(e.value) and "download" not in str(e.value)


@pytest.mark.skipif(bool(find_spec("bitsandbytes")), reason="bitsandbytes is installed")
def test_quantization_without_its_library(model_folder):
    with pytest.raises(LampbenchError, match=r"pip install 'lampbench\[quantization\]'"):
        load_engine(model_folder("llama"), arguments=ModelArguments(quantization="4bit"))


CODE = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
from transformers import LlamaConfig, LlamaForCausalLM
class OddConfig(LlamaConfig):
    model_type = "odd"
class Odd(LlamaForCausalLM):
    config_class = OddConfig
"""


def test_code_that_comes_with_a_model_runs_only_when_it_is_trusted(
    model_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asks on standard input"))
    modules = str(tmp_path / "modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    auto = {"AutoConfig": "odd.OddConfig", "AutoModelForCausalLM": "odd.Odd"}
    file = copy / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "odd",
                                                               "auto_map": auto}))  # fmt: skip
    before = fingerprint(resolve_model(str(copy)))
    (copy / "odd.py").write_text(CODE)
    after = fingerprint(resolve_model(str(copy)))
    assert before != after, "the code counts"
    with pytest.raises(LampbenchError, match="give --model-arg trust_remote_code=true"):
        load_engine(copy)
    assert not list(tmp_path.rglob("ran"))
    made = load_engine(copy, arguments=ModelArguments(trust_remote_code=True))
    assert type(made._model).__name__ == "Odd"
    assert list(tmp_path.rglob("ran"))


def test_the_device_is_too_small_for_the_model(model_folder, monkeypatch):
    from transformers import AutoModelForCausalLM

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(LampbenchError, match=r"memory does not hold model .*quantization=4bit"):
        load_engine(model_folder("llama"))


def test_weights_go_straight_onto_another_device(model_folder, monkeypatch):
    """transformers then reads each tensor onto the device: there is no copy in the CPU's memory."""
    from transformers import AutoModelForCausalLM

    seen = {}

    def read(*_, **options):
        seen.update(options)
        raise ValueError("seen")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", read)
    monkeypatch.setattr(load_model, "choose_device", torch.device)
    for device, expected in (("cuda:1", {"": "cuda:1"}), ("mps", {"": "mps"}), ("cpu", None)):
        seen.clear()
        with pytest.raises(LampbenchError, match="seen"):
            load_engine(model_folder("llama"), device=device)
        assert seen.get("device_map") == expected
    with pytest.raises(LampbenchError, match="seen"):
        load_engine(model_folder("llama"), device=None, arguments=ModelArguments(device_map="auto"))
    assert seen["device_map"] == "auto"


def test_a_model_on_its_device_by_a_device_map(model_folder):
    made = load_engine(
        model_folder("llama"), device=None, arguments=ModelArguments(device_map="cpu")
    )
    assert made.device.type == "cpu" and made._model.device.type == "cpu"


def test_a_model_on_several_devices_is_refused(model_folder, monkeypatch):
    from transformers import AutoModelForCausalLM

    original: Any = AutoModelForCausalLM.from_pretrained

    def spread(*arguments, **options):
        model, report = original(*arguments, **{**options, "device_map": None})
        model.model.norm.to("meta")
        return model, report

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", spread)
    with pytest.raises(LampbenchError, match=r"device_map=auto puts model .* on cpu and meta"):
        load_engine(model_folder("llama"), device=None, arguments=ModelArguments(device_map="auto"))


@pytest.mark.parametrize("asked", ["sdpa", "eager"])
def test_the_implementation_of_attention(model_folder, asked):
    made = load_engine(model_folder("llama"), arguments=ModelArguments(attn_implementation=asked))
    found = made._model.config._attn_implementation
    assert found == ("eager" if asked == "eager" else "lampbench")  # sdpa, and faster on the CPU


QUANTISED: list[tuple[object, str]] = [
    ({"quant_method": "zzz"}, r"quantised by 'zzz', which this transformers cannot read; install"),
    ([1], "quantization_config in config.json names no quant_method"),
    ({"bits": 4}, "quantization_config in config.json names no quant_method"),
    ({"quant_method": "gptq", "bits": 4}, r"needs a package that is missing: .*; install it$"),
    ({"quant_method": "awq", "bits": 4}, r"needs a package that is missing: .*; install it$"),
]


@pytest.mark.parametrize(("stored", "said"), QUANTISED)
def test_quantised_weights_that_cannot_be_read_are_refused(model_folder, tmp_path, stored, said):
    """Without the check, transformers passes over a method that it does not know."""
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    file = copy / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": stored}))
    with pytest.raises(LampbenchError, match=said):
        load_engine(copy)


def without(folder, *names):
    """Takes special tokens out of a tokenizer's configuration."""
    file = folder / "tokenizer_config.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in values.items() if k not in names}))
    return folder


def test_a_tokenizer_without_padding_is_padded_with_the_end_of_turn(engine, model_folder, tmp_path):
    copy = without(shutil.copytree(model_folder("llama"), tmp_path / "copy"), "pad_token",
                   "eos_token")  # fmt: skip
    made = load_engine(copy)
    assert made._encoder.tokenizer.pad_token_id is None
    assert made._encoder.tokenizer.eos_token_id is None
    requests = [GenerateRequest(str(n), prompt(n), (), GenerationSpec(8)) for n in range(4)]
    answers = {found.id: found.token_ids for found in made.generate(requests)}
    assert answers == {found.id: found.token_ids for found in engine().generate(requests)}


def test_a_tokenizer_and_a_template_without_any_end(model_folder, tmp_path):
    copy = without(shutil.copytree(model_folder("llama"), tmp_path / "copy"), "pad_token",
                   "eos_token")  # fmt: skip
    for file in copy.glob("*.jinja"):
        file.write_text("{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(LampbenchError, match=r"token that ends an answer; choose another one with"):
        load_engine(copy)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma", "gemma-vision", "qwen"])
def test_reference_fidelity_trains_under_the_familys_template(model_folder, name):
    made = load_engine(model_folder(name), fidelity=REFERENCE)
    assert "Appendix D" in made._training_encoder.chat_template
    assert "Appendix D" not in made._encoder.chat_template
    made = load_engine(model_folder(name), chat_template="qwen")
    assert "Appendix D" in made._encoder.chat_template
