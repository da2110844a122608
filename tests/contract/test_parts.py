"""Decodings and promptings are checked by the names of their classes."""

import pytest

from lampbench.contract.check import check_plugin
from lampbench.contract.subject import PART_KINDS, find_subject
from lampbench.util.errors import LampbenchError

DECODING = '''
from dataclasses import dataclass
from lampbench.plugin import *

@dataclass(frozen=True)
class Warm(Decoding):
    """Sample at a temperature."""
    temperature: float = hyper("softmax temperature", default=0.7, low=1e-6)

    def spec(self, context, user):
        return GenerationSpec(
            self.max_new_tokens, self.repetition_penalty, self.penalty_on,
            sampling=Sampling({temperature}, 1.0),
        )
'''


def checked(shop, tmp_path, source):
    file = tmp_path / "warm.py"
    file.write_text(source)
    found = check_plugin("decoding", "Warm", shop, plugins=[str(file)])
    return {one.check: one for one in found}


def test_a_sound_decoding_passes(shop, tmp_path):
    found = checked(shop, tmp_path, DECODING.format(temperature="self.temperature"))
    assert {one.verdict for one in found.values()} == {"passed"}, found


def test_a_decoding_that_ignores_its_setting_fails(shop, tmp_path):
    found = checked(shop, tmp_path, DECODING.format(temperature="0.7"))["hyper-parameters"]
    assert found.verdict == "failed"
    assert found.message.startswith("decoding.temperature changes nothing in a run")


@pytest.mark.parametrize(
    ("kind", "name"), [("decoding", "Greedy"), ("prompting", "Plain"), ("retriever", "Recent")]
)
def test_a_built_in_part_passes_by_class_and_by_name(shop, kind, name):
    assert kind in PART_KINDS
    found = list(check_plugin(kind, name, shop))
    assert {one.verdict for one in found} <= {"passed", "skipped"}, found
    assert find_subject(kind, name.lower()).found.__name__ == name


def test_an_unknown_part_names_those_there_are():
    with pytest.raises(LampbenchError, match="did you mean Greedy"):
        find_subject("decoding", "Gredy")


def test_an_unknown_kind_is_told():
    with pytest.raises(LampbenchError, match="no kind of plugin is called 'engine'"):
        find_subject("engine", "batched")
