"""Arguments of loading a model: checked, and part of what identifies a run where they matter."""

import pytest

from lampbench.engine.model_arguments import (
    ModelArguments,
    model_arguments,
    parse_model_arguments,
)
from lampbench.util.errors import LampbenchError


def test_text_and_values_are_read_alike():
    texts = ["quantization=4bit", "trust_remote_code=true", "revision=v=1", " device_map = auto "]
    expected = ModelArguments(
        quantization="4bit", trust_remote_code=True, revision="v=1", device_map="auto"
    )
    assert model_arguments(parse_model_arguments(texts)) == expected
    assert model_arguments({**expected.given()}) == expected
    assert model_arguments({"trust_remote_code": False}) == ModelArguments()


def test_only_what_changes_answers_is_part_of_the_identity():
    found = ModelArguments(
        quantization="8bit", device_map="cuda:1", revision="main", dtype="float16",
        attn_implementation="eager", trust_remote_code=True,
    )  # fmt: skip
    assert found.changes() == {
        "quantization": "8bit", "attn_implementation": "eager", "trust_remote_code": True,
    }  # fmt: skip
    assert ModelArguments().given() == ModelArguments().changes() == {}


BAD = {
    "quantisation=4bit": r"'quantisation' \(--model-arg\): did you mean quantization\?",
    "quantization=3bit": "quantization=3bit: choose one of 4bit, 8bit",
    "quantization": r"write KEY=VALUE, for example quantization=4bit",
    "=4bit": "write KEY=VALUE",
    "revision=": "write KEY=VALUE",
    "dtype=int8": "dtype=int8: choose one of float32",
    "attn_implementation=flash_attention_2": "choose one of sdpa, eager",
    "trust_remote_code=yes": "trust_remote_code=yes: choose one of true, false",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_arguments_are_one_line(text):
    with pytest.raises(LampbenchError, match=BAD[text]) as caught:
        model_arguments(parse_model_arguments([text]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [{"revision": 3}, {"revision": None}, {"quantization": True}])
def test_values_of_other_types_are_refused(given):
    with pytest.raises(LampbenchError, match="--model-arg"):
        model_arguments(given)


def test_two_values_of_one_argument_are_refused():
    assert parse_model_arguments(["dtype=float32"] * 2) == {"dtype": "float32"}
    with pytest.raises(LampbenchError, match="dtype is both float32 and float16: give one"):
        parse_model_arguments(["dtype=float32", "dtype=float16"])
