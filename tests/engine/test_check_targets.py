"""The linear layers of a model, known without its weights."""

import shutil

import pytest

from lampbench.engine.check_targets import require_targets
from lampbench.engine.model_arguments import NOTHING_GIVEN
from lampbench.engine.models import MODEL_PRESETS, resolve_model
from lampbench.util.errors import LampbenchError


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen", "gemma"])
def test_layers_that_a_model_has_are_known_from_its_files(model_folder, name, monkeypatch):
    monkeypatch.setattr("lampbench.engine.check_targets._layers_of_architecture", None)
    spec = resolve_model(str(model_folder(name)))
    require_targets(spec, ("q_proj", "v_proj", "down_proj"), NOTHING_GIVEN)


def test_a_layer_that_it_does_not_have_is_refused_in_the_words_of_the_run(model_folder):
    spec = resolve_model(str(model_folder("llama")))
    for wrong in ("embed_tokens", "lm_head", "input_layernorm", "no_proj", ""):
        with pytest.raises(LampbenchError, match=f"no linear layers called {wrong}; it has down_p"):
            require_targets(spec, ("q_proj", wrong), NOTHING_GIVEN)


def test_a_packaged_model_has_the_layers_of_a_llama():
    spec = MODEL_PRESETS["smollm2-135m"]
    require_targets(spec, ("gate_proj",), NOTHING_GIVEN)
    with pytest.raises(LampbenchError, match="model smollm2-135m has no linear layers called c_fc"):
        require_targets(spec, ("c_fc",), NOTHING_GIVEN)


def test_what_the_files_do_not_say_is_left_to_the_run(model_folder, tmp_path):
    folder = shutil.copytree(model_folder("llama"), tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"damaged")
    require_targets(resolve_model(str(folder)), ("no_proj",), NOTHING_GIVEN)
    (folder / "model.safetensors").unlink()
    require_targets(resolve_model(str(folder)), ("no_proj",), NOTHING_GIVEN)


def test_a_name_that_only_the_loaded_model_has_is_taken(model_folder, monkeypatch):
    monkeypatch.setattr(
        "lampbench.engine.check_targets._stored_layers", lambda spec: {"fused_proj"}
    )
    require_targets(resolve_model(str(model_folder("llama"))), ("q_proj",), NOTHING_GIVEN)
