"""Models by name, and what identifies them; none of it loads torch."""

import json
import math
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lampbench.engine.model_files import decoder_sizes, fingerprint
from lampbench.engine.models import BUNDLED, MODEL_PRESETS, ModelSpec, is_bundled, resolve_model
from lampbench.util.errors import LampbenchError


def test_the_papers_models_are_presets():
    expected = {
        "mistral-7b": "mistralai/Mistral-7B-Instruct-v0.3",
        "llama-3.1-8b": "meta-llama/Llama-3.1-8B-Instruct",
        "gemma-3-4b": "google/gemma-3-4b-it",
        "qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B-Instruct",
        "vicuna-7b": "lmsys/vicuna-7b-v1.5",
    }
    assert {name: resolve_model(name).location for name in expected} == expected
    assert resolve_model("bundled").location.endswith("lampbench/bundled/model")


def test_a_hub_id_may_name_a_revision():
    assert resolve_model("org/model@abc123").location == "org/model"
    assert resolve_model("org/model@abc123").revision == "abc123"
    assert resolve_model("org/model").revision is None


def test_an_unknown_name_gets_the_nearest_match():
    with pytest.raises(LampbenchError, match=r"'mistral7b'.*mistral-7b"):
        resolve_model("mistral7b")


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(LampbenchError, match=r"config\.json is missing"):
        resolve_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(LampbenchError, match=r"config\.json: no model configuration"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "dtype"),
    [({"dtype": "float32"}, "float32"), ({"torch_dtype": "float16"}, "float16"),
     ({"text_config": {"dtype": "float32"}}, "float32"), ({}, "bfloat16")],
)  # fmt: skip
def test_a_folder_runs_in_the_precision_it_is_stored_in(tmp_path, config, dtype):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert resolve_model(str(tmp_path)).dtype == dtype


def test_a_fingerprint_changes_with_weights_tokenizer_and_configuration(model_folder, tmp_path):
    original = fingerprint(resolve_model(str(model_folder("llama"))))
    copy = shutil.copytree(model_folder("llama"), tmp_path / "elsewhere")
    assert fingerprint(resolve_model(str(copy))) == original
    seen = {original}
    for name in ("config.json", "tokenizer.json", "model.safetensors", "tokenizer_config.json"):
        with (copy / name).open("ab") as stream:
            stream.write(b" ")
        seen.add(fingerprint(resolve_model(str(copy))))
    assert len(seen) == 5


def test_a_change_that_keeps_size_and_times_changes_the_fingerprint(model_folder, tmp_path):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    before = fingerprint(resolve_model(str(copy)))
    file = copy / "model.safetensors"
    times = file.stat()
    with file.open("r+b") as stream:
        stream.seek(-1, 2)
        last = stream.read(1)[0]
        stream.seek(-1, 2)
        stream.write(bytes([last ^ 1]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert fingerprint(resolve_model(str(copy))) != before


def test_what_is_no_file_in_a_models_folder_is_named(model_folder, tmp_path):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    (copy / "odd.safetensors").mkdir()
    with pytest.raises(LampbenchError, match=r"odd\.safetensors: cannot be read .*ordinary file"):
        fingerprint(resolve_model(str(copy)))


def test_an_unreachable_hub_is_reported_in_one_line_with_the_fix(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(LampbenchError, match=r"org/model.*hf download org/model.*folder") as caught:
        fingerprint(resolve_model("org/model"))
    assert "\n" not in str(caught.value)


HUB_ERRORS = {
    "GatedRepoError": r"org/model: access is restricted; ask for it on .* then run `hf auth login`",
    "RepositoryNotFoundError": r"the hub has no model of that name with revision v9; check both",
    "RevisionNotFoundError": r"the hub has no model of that name with revision v9; check both",
}


@pytest.mark.parametrize("kind", HUB_ERRORS)
def test_what_the_hub_refuses_is_one_line_with_the_remedy(tmp_path, monkeypatch, kind):
    from huggingface_hub import errors

    def refuse(*_, **__):
        response = SimpleNamespace(headers={}, request=None)
        raise getattr(errors, kind)("several\nlines", response=response)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(LampbenchError, match=HUB_ERRORS[kind]) as caught:
        fingerprint(resolve_model("org/model@v9"))
    assert "\n" not in str(caught.value)


def test_presets_name_licence_size_and_a_preset_that_exists():
    from lampbench.paper.presets import PRESETS

    for spec in MODEL_PRESETS.values():
        assert spec.licence and spec.parameters, spec.name
        assert spec.preset in (None, *PRESETS), spec.name
    expected = {"smollm2-135m", "smollm2-360m", "smollm2-1.7b", "qwen3-0.6b", "qwen3-4b",
                "qwen3-8b", "llama-3.2-1b", "llama-3.2-3b", "gemma-3-1b"}  # fmt: skip
    assert expected <= MODEL_PRESETS.keys()
    assert {name for name, spec in MODEL_PRESETS.items() if is_bundled(spec)} == set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_number_of_parameters_is_that_of_the_files(name):
    from safetensors import safe_open

    spec = MODEL_PRESETS[name]
    with safe_open(f"{spec.location}/model.safetensors", "pt") as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
    assert sum(math.prod(shape) for shape in shapes) == spec.parameters


def test_a_preset_at_another_revision():
    spec = resolve_model("qwen3-0.6b@v1")
    assert (spec.name, spec.location, spec.revision) == ("qwen3-0.6b@v1", "Qwen/Qwen3-0.6B", "v1")
    assert replace(spec, name="qwen3-0.6b", revision=None) == MODEL_PRESETS["qwen3-0.6b"]
    for name in ("bundled@v1", "smollm2-135m@v1"):
        with pytest.raises(LampbenchError, match="has no revisions, since it is not on the hub"):
            resolve_model(name)


def test_a_folder_has_no_revisions(model_folder):
    with pytest.raises(LampbenchError, match="a folder has no revisions; leave the revision out"):
        resolve_model(f"{model_folder('llama')}@v1")


def test_a_downloaded_model_is_identified_by_its_commit(tmp_path, monkeypatch):
    """The hub's cache as `hf download` leaves it, without a network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo, commit = tmp_path / "models--org--model", "0123456789abcdef0123456789abcdef01234567"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "snapshots" / commit / "config.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    from huggingface_hub import file_download

    download = file_download.hf_hub_download
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda *a, **k: download(*a, cache_dir=tmp_path, **k)
    )
    assert fingerprint(resolve_model("org/model")) == f"org/model@{commit}"


def test_a_missing_bundled_model_says_how_to_make_it(tmp_path):
    spec = ModelSpec("bundled", str(tmp_path / "model"))
    with pytest.raises(LampbenchError, match=r"folder is missing; run scripts/pretrain\.py"):
        fingerprint(spec)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma", "gemma-vision", "qwen"])
def test_sizes_are_those_of_the_model(model_folder, engine, name):
    sizes = decoder_sizes(resolve_model(str(model_folder(name))))
    assert sizes is not None
    found = {}
    for path, module in engine(name)._model.named_modules():
        kind = path.removesuffix(".base_layer").rpartition(".")[2]
        if kind in sizes.linear and "vision" not in path and hasattr(module, "weight"):
            found[kind] = (module.in_features, module.out_features)
    assert found == dict(sizes.linear)
    assert sizes.layers == 2


def test_names_and_fingerprints_need_no_torch(python, model_folder, tmp_path):
    code = f"""
import sys
from lampbench.engine.model_files import fingerprint, decoder_sizes
from lampbench.engine.models import MODEL_PRESETS, resolve_model
import lampbench.engine.pool, lampbench.engine.protocol
spec = resolve_model({str(model_folder("llama"))!r})
fingerprint(spec), decoder_sizes(spec)
print([name for name in ("torch", "transformers", "peft", "trl") if name in sys.modules])
"""
    run = python("-c", code)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
