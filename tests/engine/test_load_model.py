"""Loading models: device, precision, context length, chat templates, damaged files."""

import json
import logging
import shutil

import pytest

from lampbench.core.fidelity import PAPER, REFERENCE
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.models import resolve_model
from lampbench.util.errors import LampbenchError
from tests.engine.tiny_models import CONTEXT


def load(folder, **options):
    defaults = {"device": "cpu", "dtype": "float32", "chat_template": None, "fidelity": PAPER}
    return BatchedEngine(resolve_model(str(folder)), **defaults | options)


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
        load(model_folder("llama"), **options)


@pytest.mark.parametrize(("limit", "context"), [(100, 100), (10_000, CONTEXT), (10**30, CONTEXT)])
def test_the_context_is_the_smaller_of_the_models_and_the_tokenizers(
    model_folder, tmp_path, limit, context, caplog
):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    file = copy / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": limit}))
    made = load(copy)._encoder
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
        load(copy)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_reported_in_one_line(model_folder, tmp_path):
    copy = shutil.copytree(model_folder("llama"), tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    with pytest.raises(LampbenchError, match=r"cannot be loaded"):
        load(copy)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma", "gemma-vision", "qwen"])
def test_reference_fidelity_trains_under_the_familys_template(model_folder, name):
    made = load(model_folder(name), fidelity=REFERENCE)
    assert "Appendix D" in made._training_encoder.chat_template
    assert "Appendix D" not in made._encoder.chat_template
    assert "Appendix D" in load(model_folder(name), chat_template="qwen")._encoder.chat_template
