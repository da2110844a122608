"""What a client knows of the model that a server holds."""

import shutil

import pytest

from lampbench.engine.model_arguments import NOTHING_GIVEN
from lampbench.engine.models import resolve_model
from lampbench.engine.vllm.model_shapes import model_shapes
from lampbench.util.errors import LampbenchError


def test_they_are_those_of_the_model_that_other_engines_load(model_folder, engine):
    found = model_shapes(resolve_model(str(model_folder("llama"))), NOTHING_GIVEN)
    batched = engine()
    assert found.context == batched._encoder.context
    assert found.vocabulary == batched._model.config.vocab_size


def test_a_model_without_a_context_length_is_refused_in_one_line(model_folder, tmp_path):
    from transformers import BloomConfig

    folder = tmp_path / "bloom"
    shutil.copytree(model_folder("llama"), folder)
    BloomConfig(hidden_size=8, n_layer=1, n_head=1).save_pretrained(folder)
    with pytest.raises(LampbenchError, match="has no context length") as raised:
        model_shapes(resolve_model(str(folder)), NOTHING_GIVEN)
    assert "\n" not in str(raised.value)
